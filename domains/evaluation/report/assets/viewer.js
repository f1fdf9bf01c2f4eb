/* 3-D viewer of the report.
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
  view.mesh = view.mesh || upload(view.scene, view.data);
  gl.viewport(0, 0, width, height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  const t = view.turn;
  gl.uniformMatrix3fv(at.turn, false, [t[0], t[3], t[6], t[1], t[4], t[7], t[2], t[5], t[8]]
    .map((v) => v / view.data.radius));
  gl.uniform1f(at.zoom, view.zoom * 0.92);
  gl.uniform1f(at.aspect, width / height);
  gl.uniform1f(at.size, Math.min(width, height) / 190 * Math.sqrt(view.zoom));
  gl.uniform3f(at.paper, ...view.paper());
  gl.uniform1f(at.flat_, view.scene.kind === "cloud" ? 1 : 0);
  view.mesh.buffers.forEach((buffer, i) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(slots[i]);
    gl.vertexAttribPointer(slots[i], 3, gl.FLOAT, false, 0, 0);
  });
  if (view.mesh.index) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, view.mesh.index);
    gl.drawElements(gl.TRIANGLES, view.mesh.count, gl.UNSIGNED_INT, 0);
  } else gl.drawArrays(gl.POINTS, 0, view.mesh.count);
  view.pen.drawImage(canvas, 0, 0);
};

// ---------------------------------------------------------------- 2-D painter (no WebGL)
const project = (view, width, height) => {
  const t = view.turn;
  const scale = Math.min(width, height) / 2 * 0.92 * view.zoom;
  return (p) => {
    const q = p.map((v) => v / view.data.radius);
    const z = dot(t.slice(6), q);
    const far = 3.2 / (3.2 - z);
    return [width / 2 + dot(t.slice(0, 3), q) * scale * far,
      height / 2 - dot(t.slice(3, 6), q) * scale * far, z, far];
  };
};
const paint2D = (view, width, height) => {
  const { pen, scene, data } = view;
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
    * 0.92 * view.zoom;
  view.curves = view.curves || chains(scene, data);
  const pieces = view.curves.flatMap((curve) => curve.slice(1).map((node, i) =>
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

// ---------------------------------------------------------------- one scene on the page
const START = multiply(turnX(0.35), turnY(0.5));
const holder = document.getElementById("scenes");
const scenes = holder ? JSON.parse(holder.textContent) : [];
const report = (figure, pixels) => {
  let ink = 0;
  for (let i = 3; i < pixels.length; i += 4) ink += pixels[i] > 0;
  figure.dataset.drawn = ink ? "ok" : "blank";
  const drawn = [...document.querySelectorAll("figure[data-drawn]")];
  root.dataset.scenesDrawn = drawn.length;
  root.dataset.viewer = drawn.every((one) => one.dataset.drawn === "ok") ? "ok" : "blank";
};

const makeView = (figure) => {
  const canvas = figure.querySelector("canvas");
  const scene = scenes[Number(figure.dataset.scene)];
  // A scan lies in x-y with z up, so it is first tipped towards the viewer.
  const start = scene.kind === "cloud" ? multiply(turnX(-0.95), [
    Math.cos(0.6), -Math.sin(0.6), 0, Math.sin(0.6), Math.cos(0.6), 0, 0, 0, 1]) : START;
  const view = { scene, pen: canvas.getContext("2d"), turn: start, zoom: 1, data: null,
    visible: false, spin: false, pending: false };
  view.paper = () => getComputedStyle(canvas).backgroundColor.match(/[\d.]+/g).slice(0, 3)
    .map((v) => v / 255);
  view.draw = (now) => {
    view.pending = false;
    if (!view.visible) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.max(Math.round(canvas.clientWidth * ratio), 1);
    const height = Math.max(Math.round(canvas.clientHeight * ratio), 1);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width; canvas.height = height;
    }
    if (view.spin) {
      const step = Math.min(now - (view.last || now), 60) * 0.0006;
      view.turn = scene.kind === "cloud" ? multiply(view.turn, [Math.cos(step), -Math.sin(step),
        0, Math.sin(step), Math.cos(step), 0, 0, 0, 1]) : multiply(turnY(step), view.turn);
      view.last = now;
      view.request();
    }
    view.data = view.data || decode(scene);
    view.pen.clearRect(0, 0, width, height);
    (engine ? paintGL : paint2D)(view, width, height);
    if (!figure.dataset.drawn) report(figure, view.pen.getImageData(0, 0, width, height).data);
  };
  view.see = (visible) => {
    view.visible = visible;
    // The first picture is drawn at once: a browser that prints or saves gives no next frame.
    if (visible && !figure.dataset.drawn) view.draw(0);
    else view.request();
  };
  view.request = () => {
    if (!view.pending && view.visible) { view.pending = true; requestAnimationFrame(view.draw); }
  };
  const change = (turn, zoom = 1) => {
    view.turn = turn;
    view.zoom = Math.min(Math.max(view.zoom * zoom, 0.4), 12);
    view.request();
  };
  const rotate = (dx, dy) => change(multiply(multiply(turnX(dy), turnY(dx)), view.turn));
  const reset = () => { view.zoom = 1; change(start); };
  const spinButton = figure.querySelector("[data-act=spin]");
  const spin = () => {
    view.spin = !view.spin; view.last = 0;
    spinButton.setAttribute("aria-pressed", view.spin);
    view.request();
  };
  figure.querySelector("[data-act=reset]").addEventListener("click", reset);
  spinButton.addEventListener("click", spin);
  figure.querySelector("[data-act=full]").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else figure.requestFullscreen?.();
  });

  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const old = fingers.get(event.pointerId);
    if (!old) return;
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (before) change(view.turn, spread() / before);
    else rotate((event.clientX - old[0]) * 0.01, (event.clientY - old[1]) * 0.01);
  });
  const lift = (event) => fingers.delete(event.pointerId);
  ["pointerup", "pointercancel", "lostpointercapture"].forEach((name) =>
    canvas.addEventListener(name, lift));
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // else a page scroll would get stuck here
    event.preventDefault();
    change(view.turn, Math.exp(-event.deltaY * 0.0015));
  }, { passive: false });
  const keys = { ArrowLeft: () => rotate(-0.12, 0), ArrowRight: () => rotate(0.12, 0),
    ArrowUp: () => rotate(0, -0.12), ArrowDown: () => rotate(0, 0.12),
    "+": () => change(view.turn, 1.15), "=": () => change(view.turn, 1.15),
    "-": () => change(view.turn, 1 / 1.15), 0: reset, " ": spin };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(view.request).observe(canvas);
  new IntersectionObserver((entries) => {
    view.see(entries.at(-1).isIntersecting); // several may arrive at once: the last holds
  }, { rootMargin: "80px" }).observe(canvas);
  addEventListener("load", () => {
    const box = canvas.getBoundingClientRect();
    view.see(box.top < innerHeight && box.bottom > 0);
  });
  return view;
};
const views = [...document.querySelectorAll("[data-scene]")].map(makeView);
root.dataset.viewer = views.length ? "waiting" : "empty";

const repaint = () => views.forEach((view) => view.request());
document.getElementById("theme")?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  store(root.dataset.theme);
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
