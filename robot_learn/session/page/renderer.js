// Draws bodies by WebGL2: one light, one shader. It runs in a worker where the browser can, so that a page whose graphics
// are slow still hears its keys and answers for its hand.

import { looking } from "/page/camera.js";

// Light is reckoned at the corners: without a GPU, what a pixel costs is what everything costs.
const VERTEX = `#version 300 es
layout(location=0) in vec3 at; layout(location=1) in vec3 out_; layout(location=2) in vec4 tint;
uniform mat4 camera, body; uniform vec4 colour; uniform float tinted, lit; uniform vec3 eye;
out vec4 paint;
void main() {
  vec4 world = body * vec4(at, 1.0), own = mix(colour, tint, tinted);
  vec3 n = normalize(mat3(body) * out_), to = normalize(eye - world.xyz);
  if (dot(n, to) < 0.0) n = -n;
  float above = 0.5 + 0.5 * n.z, side = max(dot(n, vec3(-0.406, -0.304, 0.862)), 0.0);
  vec3 shade = own.rgb * mix(1.0, 0.42 + 0.28 * above + 0.36 * side, lit);
  // A translucent surface is denser where it is seen from its side, as glass is.
  float edge = 1.0 - dot(n, to), solid = own.a < 0.99 ? mix(own.a, min(1.0, own.a * 2.2), edge * edge * lit) : 1.0;
  paint = vec4(shade * solid, solid);
  gl_Position = camera * world;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 paint; out vec4 result;
void main() { result = paint; }`;
const STILL = 250; // [ms] without an update, and the robot stands
const CALM = 50, CALMEST = 250; // [ms] between two pictures where no GPU draws: four times what one takes, for the robot plans on the same cores

/** Draws on a canvas, when something changed and not before the last picture is finished. */
export class Renderer {
  constructor(canvas, report) {
    Object.assign(this, { canvas, report, bodies: new Map(), poses: new Map(), hidden: new Map(), frames: 0, updates: 0, moved: 0, drawn: 0 });
    this.size = { width: 1, height: 1, ratio: 1 };
    this.dark = false;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.#again());
    this.#begin();
  }

  /** One message of the page: a frame of the server, or what the page knows. */
  take(told) {
    if (told.frame) this.#frame(told.frame);
    if (told.gone) this.#gone(told.gone);
    if (told.show) this.hidden.set(...told.show);
    if (told.camera) this.camera = told.camera;
    if (told.size) this.size = told.size;
    if (told.dark !== undefined) this.dark = told.dark;
    if (told.counts) { this.report({ counts: { frames: this.frames, updates: this.updates, moved: this.moved, software: this.software } }); return; }
    this.redraw();
  }

  redraw() {
    if (!this.camera) return;
    if (this.asked) { this.again = true; return; }
    this.asked = true;
    this.again = false;
    const rest = this.software ? Math.min(CALMEST, Math.max(CALM, 4 * (this.took ?? 0))) - (performance.now() - this.drawn) : 0;
    setTimeout(() => requestAnimationFrame(() => this.#turn()), Math.max(0, rest - 16));
  }

  #turn() {
    const gl = this.gl;
    if (!gl) return;
    if (gl.isContextLost()) { this.asked = false; return; }
    this.again = false;
    this.drawn = performance.now();
    this.#draw();
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    this.#finished();
  }

  /** Asked for, not waited for: whoever waits for the graphics process does nothing else. */
  #finished() {
    const gl = this.gl, done = gl.isContextLost() || gl.getSyncParameter(this.fence, gl.SYNC_STATUS) === gl.SIGNALED;
    if (!done) { setTimeout(() => this.#finished(), 4); return; }
    gl.deleteSync(this.fence);
    this.took = performance.now() - this.drawn;
    this.asked = false;
    if (this.again) { this.again = false; this.redraw(); }
  }

  #frame(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const rest = 4 + length;
    if (told.poses !== undefined) {
      const rows = new Float32Array(buffer, rest, 8 * told.poses);
      const now = performance.now(), since = now - (this.updated ?? -Infinity);
      if (since < STILL) { this.updates++; this.moved += since / 1000; } // after a longer time the robot had stood
      this.updated = now;
      for (let i = 0; i < rows.length; i += 8) this.poses.set(rows[i], rows.subarray(i + 1, i + 8));
    } else if (told.camera) {
      this.#free(this.floor);
      this.floor = told.floor === null ? null : grid(told.camera, told.floor);
      if (this.floor) this.#upload(this.floor);
      this.report({ camera: told.camera });
    } else this.#body(told, buffer, rest);
  }

  #begin() {
    this.software = withoutGpu();
    const gl = this.canvas.getContext("webgl2", { antialias: !this.software, alpha: true, premultipliedAlpha: true });
    this.gl = gl;
    if (!gl) { this.report({ missing: true }); return; }
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = Object.fromEntries(["camera", "body", "colour", "tinted", "eye", "lit"].map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.enable(gl.DEPTH_TEST);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  #again() { this.#begin(); for (const body of this.bodies.values()) this.#upload(body); if (this.floor) this.#upload(this.floor); this.redraw(); }

  #body(told, buffer, rest) {
    const { body: name, vertices, faces, coloured } = told;
    this.#free(this.bodies.get(name));
    const body = { ...told };
    body.corners = new Float32Array(buffer, rest, 6 * vertices);
    rest += 24 * vertices;
    if (coloured) { body.tints = new Float32Array(buffer, rest, 4 * vertices); rest += 16 * vertices; }
    body.triangles = new Uint32Array(buffer, rest, 3 * faces);
    this.bodies.set(name, body);
    this.#upload(body);
  }

  #upload(body) {
    const gl = this.gl;
    if (!gl) return;
    body.array = gl.createVertexArray();
    gl.bindVertexArray(body.array);
    body.buffers = [gl.createBuffer(), gl.createBuffer()];
    gl.bindBuffer(gl.ARRAY_BUFFER, body.buffers[0]);
    gl.bufferData(gl.ARRAY_BUFFER, body.corners, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 24, 0);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribPointer(1, 3, gl.FLOAT, false, 24, 12);
    if (body.tints) {
      body.buffers.push(gl.createBuffer());
      gl.bindBuffer(gl.ARRAY_BUFFER, body.buffers[2]);
      gl.bufferData(gl.ARRAY_BUFFER, body.tints, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(2);
      gl.vertexAttribPointer(2, 4, gl.FLOAT, false, 16, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, body.buffers[1]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, body.triangles, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
  }

  #gone(name) {
    const body = this.bodies.get(name);
    this.#free(body);
    this.poses.delete(body?.number); // which would keep the whole frame that it came in
    this.bodies.delete(name);
  }

  #free(body) {
    if (!body?.array) return;
    this.gl.deleteVertexArray(body.array);
    for (const buffer of body.buffers) this.gl.deleteBuffer(buffer);
  }

  #draw() {
    const gl = this.gl, { width, height } = this.size;
    this.frames++;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const { matrix, eye } = looking(this.camera, width / height);
    gl.uniformMatrix4fv(this.at.camera, false, matrix);
    gl.uniform3fv(this.at.eye, eye);
    const shown = [...this.bodies].filter(([name]) => this.hidden.get(name) !== false).map(([, body]) => body);
    gl.disable(gl.BLEND);
    for (const body of shown) if (!body.clear) this.#one(body);
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    if (this.floor) this.#grid();
    const far = (body) => { const [x, y, z] = this.poses.get(body.number) ?? [0, 0, 0]; return Math.hypot(x - eye[0], y - eye[1], z - eye[2]); };
    gl.enable(gl.CULL_FACE); // a closed surface: first what lies behind, then what lies before
    for (const side of [gl.FRONT, gl.BACK]) {
      gl.cullFace(side);
      for (const body of shown.filter((one) => one.clear).sort((a, b) => far(b) - far(a))) this.#one(body);
    }
    gl.disable(gl.CULL_FACE);
  }

  #one(body) {
    const gl = this.gl;
    gl.uniformMatrix4fv(this.at.body, false, standing(this.poses.get(body.number)));
    gl.uniform4fv(this.at.colour, body.colour);
    gl.uniform1f(this.at.tinted, body.tints ? 1 : 0);
    gl.uniform1f(this.at.lit, 1);
    gl.bindVertexArray(body.array);
    gl.drawElements(gl.TRIANGLES, 3 * body.faces, gl.UNSIGNED_INT, 0);
  }

  #grid() {
    const gl = this.gl;
    gl.uniformMatrix4fv(this.at.body, false, standing());
    gl.uniform4fv(this.at.colour, this.dark ? [1, 1, 1, 0.13] : [0, 0, 0, 0.15]);
    gl.uniform1f(this.at.tinted, 0);
    gl.uniform1f(this.at.lit, 0);
    gl.bindVertexArray(this.floor.array);
    gl.drawElements(gl.LINES, this.floor.triangles.length, gl.UNSIGNED_INT, 0);
  }
}

/** Whether no GPU draws: then every pixel counts. */
function withoutGpu() {
  const gl = (globalThis.OffscreenCanvas ? new OffscreenCanvas(1, 1) : document.createElement("canvas")).getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const found = /swiftshader|llvmpipe|software/i.test(info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "");
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return found;
}

/** A floor of about twenty lines each way. */
function grid({ at, distance }, height) {
  const cell = 10 ** Math.floor(Math.log10(distance / 3)) * (distance / 3 / 10 ** Math.floor(Math.log10(distance / 3)) > 3 ? 2 : 1), half = 12;
  const middle = at.slice(0, 2).map((value) => Math.round(value / cell) * cell), corners = [], lines = [];
  for (let i = -half; i <= half; i++) {
    for (let j = -half; j < half; j++) { // in pieces: some renderers lose lines that begin behind the eye
      for (const [ax, ay, bx, by] of [[i, j, i, j + 1], [j, i, j + 1, i]]) {
        lines.push(corners.length / 6, corners.length / 6 + 1);
        corners.push(middle[0] + ax * cell, middle[1] + ay * cell, height, 0, 0, 1, middle[0] + bx * cell, middle[1] + by * cell, height, 0, 0, 1);
      }
    }
  }
  return { corners: new Float32Array(corners), triangles: new Uint32Array(lines) };
}

/** Column-major matrix of a pose (x, y, z, qw, qx, qy, qz). */
function standing(pose = [0, 0, 0, 1, 0, 0, 0]) {
  const [x, y, z, w, i, j, k] = pose;
  return [
    1 - 2 * (j * j + k * k), 2 * (i * j + k * w), 2 * (i * k - j * w), 0,
    2 * (i * j - k * w), 1 - 2 * (i * i + k * k), 2 * (j * k + i * w), 0,
    2 * (i * k + j * w), 2 * (j * k - i * w), 1 - 2 * (i * i + j * j), 0,
    x, y, z, 1,
  ];
}

// In a worker: the canvas comes first.
if (globalThis.WorkerGlobalScope && self instanceof WorkerGlobalScope) {
  let renderer = null;
  self.onmessage = ({ data }) => {
    if (data.canvas) renderer = new Renderer(data.canvas, (told) => self.postMessage(told));
    else renderer?.take(data);
  };
}
