/* Colours and geometry of the 3-D viewer: splines, tubes, rotations. */
const RAMP = { // both run through lightness, so that they read without red-green vision
  trace: ["36489a", "3f7fc0", "4fadd0", "7cc7b8", "d8cd78", "f0a748", "e66b3c", "a81c3a"],
  cloud: ["2b3f8c", "2f74a3", "3fa39b", "8fc77f", "f0d86b"],
};
const ramps = Object.fromEntries(Object.entries(RAMP).map(([name, stops]) =>
  [name, stops.map((stop) => [0, 2, 4].map((i) => parseInt(stop.slice(i, i + 2), 16) / 255))]));
const shade = (kind, value) => {
  const stops = ramps[kind];
  const at = Math.min(Math.max(value, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  return stops[i].map((c, k) => c + (stops[i + 1][k] - c) * (at - i));
};
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) =>
  [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => { const n = Math.hypot(...a) || 1; return a.map((v) => v / n); };
const multiply = (a, b) => { // rotation matrices, row-major 3 x 3
  const c = new Array(9);
  for (let i = 0; i < 9; i++) {
    const [r, k] = [3 * Math.floor(i / 3), i % 3];
    c[i] = a[r] * b[k] + a[r + 1] * b[k + 3] + a[r + 2] * b[k + 6];
  }
  return c;
};
const turnX = (t) => [1, 0, 0, 0, Math.cos(t), -Math.sin(t), 0, Math.sin(t), Math.cos(t)];
const turnY = (t) => [Math.cos(t), 0, Math.sin(t), 0, 1, 0, -Math.sin(t), 0, Math.cos(t)];

const decode = (scene) => {
  const raw = new Int16Array(bytes(scene.points).buffer);
  const levels = scene.colour ? bytes(scene.colour) : null;
  const points = [];
  for (let i = 0; i < scene.count; i++) {
    points.push([raw[3 * i] / 32767, raw[3 * i + 1] / 32767, raw[3 * i + 2] / 32767]);
  }
  const zs = points.reduce(([a, b], p) => [Math.min(a, p[2]), Math.max(b, p[2])], [9, -9]);
  const value = (i) => (levels ? levels[i] / 255 : scene.kind === "trace"
    ? i / Math.max(scene.count - 1, 1) : (points[i][2] - zs[0]) / (zs[1] - zs[0] || 1));
  const radius = scene.radius || points.reduce((most, p) => Math.max(most, Math.hypot(...p)), 0) || 1;
  return { points, value, radius };
};

// Uniform Catmull-Rom: passes through every point of the chain.
const spline = (chain, values, pieces) => {
  const curve = [];
  const get = (i) => chain[Math.min(Math.max(i, 0), chain.length - 1)];
  for (let i = 0; i < chain.length - 1; i++) {
    const [p, q, r, s] = [get(i - 1), get(i), get(i + 1), get(i + 2)];
    for (let k = 0; k < pieces; k++) {
      const t = k / pieces;
      curve.push({ value: values[i] + (values[i + 1] - values[i]) * t, at: q.map((v, c) =>
        0.5 * (2 * v + (r[c] - p[c]) * t + (2 * p[c] - 5 * v + 4 * r[c] - s[c]) * t * t
          + (3 * v - p[c] - 3 * r[c] + s[c]) * t * t * t)) });
    }
  }
  if (chain.length) curve.push({ value: values[chain.length - 1], at: get(chain.length - 1) });
  return curve;
};
const chains = (scene, data) => {
  const ends = [...scene.breaks, scene.count];
  return ends.map((end, i) => {
    const start = i ? ends[i - 1] : 0;
    const values = [];
    for (let k = start; k < end; k++) values.push(data.value(k));
    const pieces = scene.count > 400 ? 4 : 8;
    return spline(data.points.slice(start, end), values, pieces);
  });
};
const tubeRadius = (points) => {
  const gaps = points.slice(1).map((p, i) => Math.hypot(...sub(p, points[i])));
  gaps.sort((a, b) => a - b);
  return 0.27 * (gaps[Math.floor(gaps.length / 2)] || 0.1);
};

const tube = (curves, radius, sides) => {
  const [place, normal, colour, index] = [[], [], [], []];
  curves.filter((curve) => curve.length > 1).forEach((curve) => {
    const tangents = curve.map((_, i) => unit(sub(
      curve[Math.min(i + 1, curve.length - 1)].at, curve[Math.max(i - 1, 0)].at)));
    let side = unit(cross(tangents[0], Math.abs(tangents[0][0]) < 0.8 ? [1, 0, 0] : [0, 1, 0]));
    const ring = (at, tangent, value, scale, lean) => {
      side = unit(sub(side, tangent.map((v) => v * dot(side, tangent)))); // parallel transport
      const other = cross(tangent, side);
      const tint = shade("trace", value);
      for (let k = 0; k < sides; k++) {
        const turn = (2 * Math.PI * k) / sides;
        const out = side.map((v, c) => v * Math.cos(turn) + other[c] * Math.sin(turn));
        place.push(...at.map((v, c) => v + out[c] * radius * scale));
        normal.push(...unit(out.map((v, c) => v * scale + tangent[c] * lean)));
        colour.push(...tint);
      }
    };
    const cap = (i, sign) => [...Array(5).keys()].forEach((k) => {
      const turn = (Math.PI / 2) * (sign < 0 ? (4 - k) / 4 : k / 4);
      const at = curve[i].at.map((v, c) => v + sign * tangents[i][c] * radius * Math.sin(turn));
      ring(at, tangents[i], curve[i].value, Math.max(Math.cos(turn), 0.001),
        sign * Math.sin(turn));
    });
    const first = place.length / 3;
    cap(0, -1);
    curve.forEach((node, i) => ring(node.at, tangents[i], node.value, 1, 0));
    cap(curve.length - 1, 1);
    for (let r = 0; r < curve.length + 9; r++) {
      for (let k = 0; k < sides; k++) {
        const [a, b] = [first + r * sides + k, first + r * sides + ((k + 1) % sides)];
        index.push(a, b, a + sides, b, b + sides, a + sides);
      }
    }
  });
  return { place, normal, colour, index };
};
