/* 3-D viewer of the report: views that are turned together, and sliders through scenes. */
const START = multiply(turnX(0.35), turnY(0.5));
const holder = document.getElementById("scenes");
// What is drawn of a scene is made once, however many views show it.
const faces = (holder ? JSON.parse(holder.textContent) : [])
  .map((scene) => ({ scene, data: null, mesh: null, curves: null }));
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
  const own = figure.dataset.scenes.trim().split(" ").map((number) => faces[Number(number)]);
  const { scene } = own[0];
  // A scan lies in x-y with z up, so it is first tipped towards the viewer.
  const start = scene.kind === "cloud" ? multiply(turnX(-0.95), [
    Math.cos(0.6), -Math.sin(0.6), 0, Math.sin(0.6), Math.cos(0.6), 0, 0, 0, 1]) : START;
  const view = { face: own[0], pen: canvas.getContext("2d"), turn: start, zoom: 1,
    closer: own.length > 1 ? 1.6 : 1, // a wide view of a flat street has room at its sides
    visible: false, spin: false, pending: false };
  const linked = () => views.filter((other) => other.row === view.row);
  view.row = figure.closest("[data-linked]");
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
      linked().forEach((other) => { other.turn = view.turn; other.request(); });
    }
    view.face.data = view.face.data || decode(view.face.scene);
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
    view.zoom = Math.min(Math.max(view.zoom * zoom, 0.4), 12);
    linked().forEach((other) => {
      other.turn = turn; other.zoom = view.zoom;
      other.request();
    });
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

  const slider = figure.querySelector("input[type=range]");
  const stops = [...figure.querySelectorAll("[data-stop]")];
  const show = (place) => {
    view.face = own[place];
    figure.querySelector("output").textContent = stops[place].textContent;
    stops.forEach((stop, k) => stop.setAttribute("aria-pressed", k === place));
    view.request();
  };
  if (slider) {
    slider.addEventListener("input", () => show(Number(slider.value)));
    stops.forEach((stop, k) => stop.addEventListener("click", () => {
      slider.value = k;
      show(k);
    }));
    show(Number(slider.value)); // a browser may keep its place when it loads the page again
  }

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
const views = [...document.querySelectorAll("[data-scenes]")].map(makeView);
root.dataset.viewer = views.length ? "waiting" : "empty";

const repaint = () => views.forEach((view) => view.request());
document.getElementById("theme")?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  store(root.dataset.theme);
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
