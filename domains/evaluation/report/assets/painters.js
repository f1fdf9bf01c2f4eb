/* Painters of the 3-D viewer.
 * One WebGL context draws every scene and is copied into each scene's own 2-D canvas, because
 * a browser allows only about 16 contexts. Without WebGL the same scenes are painted in 2-D. */
// ---------------------------------------------------------------- WebGL
const VERTEX = `attribute vec3 place; attribute vec3 normal; attribute vec3 tint;
  uniform mat3 turn; uniform float zoom, aspect, size; varying vec3 n, c; varying float depth;
  void main() {
    vec3 p = turn * place; n = turn * normal; c = tint; depth = p.z;
    float far = 3.2 - p.z;
    vec2 fit = aspect > 1.0 ? vec2(1.0 / aspect, 1.0) : vec2(1.0, aspect);
    gl_Position = vec4(p.xy * zoom * 3.2 * fit, -p.z * 0.5 * far, far);
    gl_PointSize = max(1.5, size * 3.2 / far);
  }`;
const FRAGMENT = `precision mediump float; varying vec3 n, c; varying float depth;
  uniform vec3 paper; uniform float flat_;
  void main() {
    vec3 colour = c;
    if (flat_ > 0.5) {
      if (length(gl_PointCoord - 0.5) > 0.5) discard;
    } else {
      vec3 m = normalize(n);
      float light = 0.52 + 0.48 * max(dot(m, normalize(vec3(-0.35, 0.6, 0.75))), 0.0);
      float shine = pow(max(dot(m, normalize(vec3(-0.2, 0.4, 1.0))), 0.0), 40.0);
      colour = c * light * mix(0.55, 1.0, smoothstep(0.0, 0.5, m.z)) + 0.16 * shine;
    }
    float fog = clamp(0.34 - depth * 0.42, 0.0, 0.72);
    gl_FragColor = vec4(mix(colour, paper, fog), 1.0);
  }`;
const startGL = () => {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl", { antialias: true, alpha: true });
  if (!gl || root.hasAttribute("data-no-webgl")) return null;
  const program = gl.createProgram();
  [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]].forEach(([type, source]) => {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) fail(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  gl.getExtension("OES_element_index_uint");
  const uniform = (name) => gl.getUniformLocation(program, name);
  const names = ["turn", "zoom", "aspect", "size", "paper", "flat_"];
  const at = Object.fromEntries(names.map((name) => [name, uniform(name)]));
  const slots = ["place", "normal", "tint"].map((name) => gl.getAttribLocation(program, name));
  return { canvas, gl, at, slots };
};
let engine = null;
try { engine = startGL(); } catch { engine = null; }
if (engine) {
  engine.canvas.addEventListener("webglcontextlost", () => {
    engine = null; // the 2-D painter takes over
    views.forEach((view) => view.request());
  });
}
root.dataset.renderer = engine ? "webgl" : "canvas";

const upload = (scene, data) => {
  const { gl } = engine;
  const store3 = (values) => {
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(values), gl.STATIC_DRAW);
    return buffer;
  };
  if (scene.kind === "cloud") {
    const tint = data.points.flatMap((_, i) => shade("cloud", data.value(i)));
    const place = store3(data.points.flat());
    return { buffers: [place, place, store3(tint)], count: scene.count, index: null };
  }
  const mesh = tube(chains(scene, data), tubeRadius(data.points), 12);
  const index = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, index);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(mesh.index), gl.STATIC_DRAW);
  return { buffers: [mesh.place, mesh.normal, mesh.colour].map(store3), index,
    count: mesh.index.length };
};
const paintGL = (view, width, height) => {
  const { canvas, gl, at, slots } = engine;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width; canvas.height = height;
  }
  const { face } = view;
  face.mesh = face.mesh || upload(face.scene, face.data);
  gl.viewport(0, 0, width, height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  const t = view.turn;
  gl.uniformMatrix3fv(at.turn, false, [t[0], t[3], t[6], t[1], t[4], t[7], t[2], t[5], t[8]]
    .map((v) => v / face.data.radius));
  gl.uniform1f(at.zoom, view.zoom * view.closer * 0.92);
  gl.uniform1f(at.aspect, width / height);
  gl.uniform1f(at.size, Math.min(width, height) / 190 * Math.sqrt(view.zoom));
  gl.uniform3f(at.paper, ...view.paper());
  gl.uniform1f(at.flat_, face.scene.kind === "cloud" ? 1 : 0);
  face.mesh.buffers.forEach((buffer, i) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(slots[i]);
    gl.vertexAttribPointer(slots[i], 3, gl.FLOAT, false, 0, 0);
  });
  if (face.mesh.index) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, face.mesh.index);
    gl.drawElements(gl.TRIANGLES, face.mesh.count, gl.UNSIGNED_INT, 0);
  } else gl.drawArrays(gl.POINTS, 0, face.mesh.count);
  view.pen.drawImage(canvas, 0, 0);
};

// ---------------------------------------------------------------- 2-D painter (no WebGL)
const project = (view, width, height) => {
  const t = view.turn;
  const scale = Math.min(width, height) / 2 * 0.92 * view.zoom * view.closer;
  return (p) => {
    const q = p.map((v) => v / view.face.data.radius);
    const z = dot(t.slice(6), q);
    const far = 3.2 / (3.2 - z);
    return [width / 2 + dot(t.slice(0, 3), q) * scale * far,
      height / 2 - dot(t.slice(3, 6), q) * scale * far, z, far];
  };
};
const paint2D = (view, width, height) => {
  const { pen, face } = view;
  const { scene, data } = face;
  const place = project(view, width, height);
  const paper = view.paper();
  const css = (tint, z, dim) => {
    const fog = Math.min(Math.max(0.34 - z * 0.42, 0), 0.72);
    return `rgb(${tint.map((c, k) =>
      Math.round(255 * (c * dim * (1 - fog) + paper[k] * fog))).join()})`;
  };
  if (scene.kind === "cloud") {
    const stride = Math.ceil(scene.count / 20000); // a software painter can't draw them all
    for (let i = 0; i < scene.count; i += stride) {
      const [x, y, z] = place(data.points[i]);
      pen.fillStyle = css(shade("cloud", data.value(i)), z, 1);
      pen.fillRect(x, y, width / 300, width / 300);
    }
    return;
  }
  const thick = 2 * tubeRadius(data.points) / data.radius * Math.min(width, height) / 2
    * 0.92 * view.zoom * view.closer;
  face.curves = face.curves || chains(scene, data);
  const pieces = face.curves.flatMap((curve) => curve.slice(1).map((node, i) =>
    [place(curve[i].at), place(node.at), shade("trace", node.value)]));
  pieces.sort((a, b) => a[0][2] - b[0][2]);
  pieces.forEach(([a, b, tint]) => {
    [[1.25, 0.45], [1, 0.85], [0.4, 1.05]].forEach(([wide, dim]) => { // rim, body, light
      pen.lineCap = dim < 0.5 ? "butt" : "round"; // a round rim would draw a ring at each joint
      pen.strokeStyle = css(tint, a[2], dim);
      pen.lineWidth = thick * a[3] * wide;
      pen.beginPath();
      pen.moveTo(a[0], a[1]);
      pen.lineTo(b[0], b[1]);
      pen.stroke();
    });
  });
};
