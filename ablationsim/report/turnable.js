"use strict";
// Draws the solids of the page with WebGL 2. Lengths are millimetres of the world; the projection is parallel, so that
// the scale holds everywhere in the picture.
(async () => {
const about = JSON.parse(document.getElementById("about").textContent);
const canvas = document.getElementById("picture");
const done = (state, text) => {
  document.body.dataset.state = state;
  if (text) { const p = document.getElementById("trouble"); p.textContent = text; p.hidden = false; }
};
const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true, alpha: true, premultipliedAlpha: true });
if (!gl || typeof DecompressionStream === "undefined") {
  done("failed", "This browser cannot draw in space (it has no WebGL 2). The other pictures of the report show the same.");
  return;
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => { const l = Math.hypot(...a) || 1; return a.map((x) => x / l); };
const along = (a, s, b) => a.map((x, k) => x + s * b[k]);

// -- content of the page ---------------------------------------------------------------------------------------------
const bytes = Uint8Array.from(atob(document.getElementById("packed").textContent.trim()), (c) => c.charCodeAt(0));
const content = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();

function buffer(target, array) {
  const made = gl.createBuffer();
  gl.bindBuffer(target, made);
  gl.bufferData(target, array, gl.STATIC_DRAW);
  return made;
}
function normals(points, triangles) {
  // The mean over the triangles round each corner; larger triangles count more, so that slivers do not show.
  const sum = new Float32Array(points.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const u = [points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2]];
    const v = [points[c] - points[a], points[c + 1] - points[a + 1], points[c + 2] - points[a + 2]];
    const n = cross(u, v);
    for (const corner of [a, b, c]) { sum[corner] += n[0]; sum[corner + 1] += n[1]; sum[corner + 2] += n[2]; }
  }
  return sum;
}

const VERTEX = `#version 300 es
in vec3 place; in vec3 normal; in vec3 tint;
uniform mat3 turn; uniform vec3 centre; uniform vec2 half_size; uniform float depth;
out vec3 n; out vec3 shade;
void main() {
  vec3 seen = turn * (place - centre);
  n = turn * normal; shade = tint;
  gl_Position = vec4(seen.xy / half_size, -seen.z / depth, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 n; in vec3 shade; uniform float opacity; out vec4 colour;
void main() {
  float facing = abs(normalize(n).z);
  vec3 lit = shade * (0.44 + 0.56 * facing) + 0.08 * pow(facing, 24.0);
  // A thin shell is crossed obliquely at its outline: more of it is in the way there.
  float cover = opacity >= 0.999 ? 1.0 : min(1.0, opacity * (0.55 + 0.9 * pow(1.0 - facing, 1.5) / 0.55));
  colour = vec4(lit * cover, cover);
}`;
function compiled(kind, text) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, text);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
  return shader;
}
const program = gl.createProgram();
gl.attachShader(program, compiled(gl.VERTEX_SHADER, VERTEX));
gl.attachShader(program, compiled(gl.FRAGMENT_SHADER, FRAGMENT));
gl.linkProgram(program);
gl.useProgram(program);
const uniform = Object.fromEntries(["turn", "centre", "half_size", "depth", "opacity"].map((name) => [name, gl.getUniformLocation(program, name)]));
const attribute = Object.fromEntries(["place", "normal", "tint"].map((name) => [name, gl.getAttribLocation(program, name)]));

let reach = 0;  // of everything from the first centre
const parts = about.parts.map((part) => {
  const steps = new Uint16Array(content, part.corners_at, 3 * part.points);
  const points = Float32Array.from(steps, (value, k) => part.low[k % 3] + value * part.step[k % 3]);
  for (let k = 0; k < points.length; k += 3) reach = Math.max(reach, Math.hypot(points[k] - about.centre[0], points[k + 1] - about.centre[1], points[k + 2] - about.centre[2]));
  const triangles = new Uint32Array(content, part.triangles_at, 3 * part.triangles);
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  buffer(gl.ARRAY_BUFFER, points);
  gl.enableVertexAttribArray(attribute.place);
  gl.vertexAttribPointer(attribute.place, 3, gl.FLOAT, false, 0, 0);
  buffer(gl.ARRAY_BUFFER, normals(points, triangles));
  gl.enableVertexAttribArray(attribute.normal);
  gl.vertexAttribPointer(attribute.normal, 3, gl.FLOAT, false, 0, 0);
  if (part.colours_at !== null) {
    buffer(gl.ARRAY_BUFFER, new Uint8Array(content, part.colours_at, 3 * part.points));
    gl.enableVertexAttribArray(attribute.tint);
    gl.vertexAttribPointer(attribute.tint, 3, gl.UNSIGNED_BYTE, true, 0, 0);
  }
  buffer(gl.ELEMENT_ARRAY_BUFFER, triangles);
  return { ...part, array, count: triangles.length };
});

// -- view ------------------------------------------------------------------------------------------------------------
const up = unit(about.up);
const zero = unit(along(about.views[0].eye, -dot(about.views[0].eye, up), up).some((x) => Math.abs(x) > 1e-6)
  ? along(about.views[0].eye, -dot(about.views[0].eye, up), up) : (Math.abs(up[0]) < 0.9 ? cross(up, [1, 0, 0]) : cross(up, [0, 1, 0])));
const side = cross(up, zero);
const view = {};
function lookFrom(direction) {
  const eye = unit(direction);
  view.pitch = Math.asin(Math.max(-1, Math.min(1, dot(eye, up))));
  if (Math.abs(view.pitch) < 1.57) view.yaw = Math.atan2(dot(eye, side), dot(eye, zero)); else view.yaw = 0;
}
function first() { view.centre = about.centre.slice(); view.height = about.height; lookFrom(about.eye); }
first();
function basis() {
  const [c, s] = [Math.cos(view.yaw), Math.sin(view.yaw)];
  const level = along(zero.map((x) => x * c), s, side);
  const eye = along(level.map((x) => x * Math.cos(view.pitch)), Math.sin(view.pitch), up);
  const right = along(zero.map((x) => -x * s), c, side);
  return [right, cross(eye, right), eye];
}

let waiting = false;
function draw() { if (!waiting) { waiting = true; requestAnimationFrame(paint); } }
function paint() {
  waiting = false;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.max(1, Math.round(canvas.clientWidth * ratio)), Math.max(1, Math.round(canvas.clientHeight * ratio))];
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const [right, above, eye] = basis();
  gl.viewport(0, 0, width, height);
  gl.depthMask(true);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.enable(gl.DEPTH_TEST);
  gl.uniformMatrix3fv(uniform.turn, false, [right[0], above[0], eye[0], right[1], above[1], eye[1], right[2], above[2], eye[2]]);
  gl.uniform3fv(uniform.centre, view.centre);
  gl.uniform2f(uniform.half_size, 0.5 * view.height * width / height, 0.5 * view.height);
  gl.uniform1f(uniform.depth, 2 * reach + 200);
  const shown = parts.filter((part) => part.shown && part.opacity > 0);
  const put = (part) => {
    gl.bindVertexArray(part.array);
    if (part.colours_at === null) gl.vertexAttrib3fv(attribute.tint, part.colour);
    gl.uniform1f(uniform.opacity, part.opacity);
    gl.drawElements(gl.TRIANGLES, part.count, gl.UNSIGNED_INT, 0);
  };
  gl.disable(gl.BLEND);
  gl.disable(gl.CULL_FACE);
  shown.filter((part) => part.opacity >= 0.999).forEach(put);
  // Shells in each other: far sides from the outermost in, then near sides from the innermost out.
  const shells = shown.filter((part) => part.opacity < 0.999);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.depthMask(false);
  gl.enable(gl.CULL_FACE);
  gl.cullFace(gl.FRONT);
  [...shells].reverse().forEach(put);
  gl.cullFace(gl.BACK);
  shells.forEach(put);
  overlay(right, above, eye);
  done("drawn");
}

function overlay(right, above, eye) {
  const ends = [];
  about.axes.forEach((names, k) => names.forEach((name, sign) => {
    if (!name) return;
    const way = sign ? -1 : 1;
    ends.push({ name, x: way * right[k], y: -way * above[k], z: way * eye[k], main: !sign });
  }));
  ends.sort((a, b) => a.z - b.z);
  const svg = document.getElementById("axes");
  svg.replaceChildren(...ends.flatMap(({ name, x, y, z, main }) => {
    const made = (tag, attributes) => { const e = document.createElementNS("http://www.w3.org/2000/svg", tag); for (const key in attributes) e.setAttribute(key, attributes[key]); return e; };
    const faint = 0.45 + 0.55 * (z + 1) / 2;
    const line = made("line", { x1: 0, y1: 0, x2: 34 * x, y2: 34 * y, stroke: main ? "#22303c" : "#8a97a3", "stroke-width": 2, opacity: faint });
    const text = made("text", { x: 43 * x, y: 43 * y + 4.5, "text-anchor": "middle", "font-size": 13, "font-weight": 600, fill: "#22303c", opacity: faint });
    text.textContent = name;
    return [line, text];
  }));
  const perMillimetre = canvas.clientHeight / view.height;
  const length = [100, 50, 20, 10, 5, 2, 1, 0.5].find((mm) => mm * perMillimetre <= 130) || 0.5;
  document.querySelector("#scale i").style.width = `${length * perMillimetre}px`;
  document.querySelector("#scale span").textContent = `${length} mm`;
}

// -- what a person does ----------------------------------------------------------------------------------------------
const pointers = new Map();
function turn(dx, dy) {
  view.yaw -= 0.008 * dx;
  view.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, view.pitch + 0.008 * dy));
  draw();
}
function move(dx, dy) {
  const [right, above] = basis();
  const mm = view.height / canvas.clientHeight;
  view.centre = along(along(view.centre, -dx * mm, right), dy * mm, above);
  draw();
}
function zoom(factor) { view.height = Math.max(4, Math.min(2000, view.height * factor)); draw(); }
canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); pointers.set(event.pointerId, event); });
canvas.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
  if (pointers.size === 2) {
    const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
    const span = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    if (span(event) > 0) zoom(span(last) / span(event));
    move(dx / 2, dy / 2);
  } else if (event.buttons & 2 || event.shiftKey) move(dx, dy); else turn(dx, dy);
  pointers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(0.0012 * event.deltaY * (event.deltaMode ? 30 : 1))); }, { passive: false });
canvas.addEventListener("dblclick", () => { first(); draw(); });
canvas.addEventListener("keydown", (event) => {
  const act = { ArrowLeft: () => turn(-15, 0), ArrowRight: () => turn(15, 0), ArrowUp: () => turn(0, -15), ArrowDown: () => turn(0, 15), "+": () => zoom(1 / 1.15), "-": () => zoom(1.15) }[event.key];
  if (act) { event.preventDefault(); act(); }
});
new ResizeObserver(draw).observe(canvas);

const list = document.getElementById("parts");
parts.forEach((part, k) => {
  const row = document.createElement("div");
  row.className = "part";
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: part.shown, id: `part${k}` });
  const mark = document.createElement("span");
  mark.className = "dot";
  mark.style.background = part.colours_at === null ? `rgb(${part.colour.map((x) => Math.round(255 * x)).join(" ")})` : "linear-gradient(90deg, #d7191c, #fdc33c, #1a9641)";
  const label = Object.assign(document.createElement("label"), { textContent: part.name, htmlFor: box.id });
  box.addEventListener("change", () => { part.shown = box.checked; draw(); });
  row.append(box, mark, label);
  if (part.opacity < 0.999) {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0.02, max: 0.98, step: 0.02, value: part.opacity, title: "how opaque" });
    slider.setAttribute("aria-label", `how opaque ${part.name} is`);
    slider.addEventListener("input", () => { part.opacity = Number(slider.value); draw(); });
    row.append(slider);
  }
  list.append(row);
});
const views = document.getElementById("views");
for (const { name, eye } of about.views) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  button.addEventListener("click", () => { lookFrom(eye); draw(); });
  views.append(button);
}
draw();
})();
