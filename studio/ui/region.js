// Stretches of a source, chosen on its outline by pointer or keyboard; one is in hand, others lie beside it.
// Python owns the numbers: they come in with every redraw, and what a person does here goes out when it is done.
const editors = new WeakMap();
const LEAST = 0.1; // seconds a stretch has at least, and between two of them
const NEW = 2; // seconds of one that is added
const CLICK = 4; // pixels a pointer may move and still have clicked
const OFF = "off", BEAT = "beat", LINE = "line";

const written = (seconds) => `${seconds < 0 ? "−" : ""}${Math.abs(seconds).toFixed(2).replace(/\.?0+$/, "")}`;

class Region {
  constructor(root) {
    this.root = root;
    this.count = 0;
    this.others = [];
    this.build();
    this.hush = (event) => event.detail !== this && this.pause();
    document.addEventListener(PLAYING, this.hush);
    this.sizes = new ResizeObserver(() => this.show());
    this.sizes.observe(this.stage);
  }

  close() {
    this.pause();
    document.removeEventListener(PLAYING, this.hush);
    this.sizes.disconnect();
    editors.delete(this.root);
  }

  build() {
    this.box = element("div", { class: "region", role: "group" });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.bar = element("div", { class: "bar", role: "slider", tabindex: "0" });
    this.grips = ["start", "end"].map((name) => element("div", { class: `grip ${name}`, role: "slider", tabindex: "0" }));
    this.stage = element("div", { class: "stage" }, this.canvas, this.bar, ...this.grips);
    this.toggle_ = element("button", { type: "button", class: "play" });
    this.part = element("button", { type: "button", class: "part" });
    this.zooms = [["−", 2], ["+", 0.5], ["↔", 0]].map(([sign, factor]) => {
      const button = element("button", { type: "button" }, sign);
      button.onclick = () => this.zoom(factor);
      return button;
    });
    this.adder = element("button", { type: "button" });
    this.remover = element("button", { type: "button" });
    this.list = element("span", { class: "list", role: "group" });
    this.snap = element("select", { class: "snap" });
    this.said = element("output", { class: "said", "aria-live": "polite" });
    this.audio = element("audio", { preload: "metadata" });
    const tools = element("div", { class: "tools" }, this.toggle_, this.part, this.said, this.snap, ...this.zooms);
    const many = element("div", { class: "tools many" }, this.list, this.adder, this.remover);
    this.box.append(this.stage, tools, many, this.audio);
    this.root.replaceChildren(this.box);
    this.listen();
  }

  listen() {
    this.toggle_.onclick = () => (this.audio.paused ? this.play() : this.pause());
    this.part.onclick = () => this.playPart();
    this.adder.onclick = () => this.add();
    this.remover.onclick = () => this.remove();
    this.audio.onplay = this.audio.onpause = this.audio.onseeked = () => this.show();
    this.audio.ontimeupdate = () => this.stopAtEnd();
    this.grips.forEach((grip, index) => {
      grip.onpointerdown = (event) => this.grab(event, index ? "end" : "start");
      grip.onkeydown = (event) => this.key(event, index ? "end" : "start");
    });
    this.bar.onpointerdown = (event) => this.grab(event, "move");
    this.bar.onkeydown = (event) => this.key(event, "move");
    this.canvas.onpointerdown = (event) => this.grab(event, "draw");
    this.stage.onpointermove = (event) => this.held && this.drag(event);
    this.stage.onpointerup = this.stage.onpointercancel = (event) => this.held && this.drop(event);
    this.stage.onwheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.at(event));
    };
    this.box.onkeydown = (event) => this.shortcut(event);
  }

  update(data, emit) {
    const other = this.data?.id !== data.id;
    this.data = data;
    this.emit = emit;
    if (!this.held) {
      [this.start, this.end] = data.region;
      this.others = data.others ?? [];
    }
    if (other) {
      this.peaks = (data.peaks.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
      this.pause();
      this.audio.setAttribute("src", data.url); // a newer signature of the same file is no reason to load it again
      this.whole();
    } else if (!this.held && this.all().some(([start, end]) => start < this.from || end > this.to)) this.whole();
    if (this.quiet !== undefined && data.quiet !== this.quiet) this.pause();
    this.quiet = data.quiet;
    this.name();
    this.show();
  }

  name() {
    const words = this.data.words;
    this.box.setAttribute("aria-label", words.label);
    this.grips[0].setAttribute("aria-label", words.start);
    this.grips[1].setAttribute("aria-label", words.end);
    this.bar.setAttribute("aria-label", words.move);
    this.part.textContent = words.part;
    [words.out, words.in, words.all].forEach((word, index) => {
      this.zooms[index].setAttribute("aria-label", word);
      this.zooms[index].title = word;
    });
    this.list.setAttribute("aria-label", words.regions);
    [this.adder.textContent, this.remover.textContent] = [words.add, words.remove];
    this.snap.setAttribute("aria-label", words.snap);
    const choices = [[OFF, words.off], [BEAT, words.beat], [LINE, words.line]];
    const open = choices.filter(([kind]) => kind === OFF || (kind === BEAT ? this.data.bpm : this.data.lines.length));
    const text = JSON.stringify(open);
    if (text === this.choices) return;
    this.choices = text;
    const before = this.snap.value;
    this.snap.replaceChildren(...open.map(([kind, word]) => element("option", { value: kind }, word)));
    this.snap.value = open.some(([kind]) => kind === before) ? before : OFF;
  }

  // --- time and place -----------------------------------------------------------------------------------------------
  whole() {
    const spare = Math.min(this.data.room, Math.max(1, this.data.duration * 0.08));
    this.from = Math.min(-spare, ...this.all().map(([start]) => start));
    this.to = Math.max(this.data.duration + spare, ...this.all().map(([, end]) => end));
  }

  zoom(factor, around = (this.start + this.end) / 2) {
    if (!factor) this.whole();
    else {
      const width = Math.max(1, (this.to - this.from) * factor);
      const share = Math.min(1, Math.max(0, (around - this.from) / (this.to - this.from)));
      this.from = around - width * share;
      this.to = this.from + width;
      const [low, high] = [-this.data.room, this.data.duration + this.data.room];
      if (this.from < low) [this.from, this.to] = [low, Math.min(high, low + width)];
      if (this.to > high) [this.from, this.to] = [Math.max(low, high - width), high];
    }
    this.show();
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return this.from + ((event.clientX - box.left) / box.width) * (this.to - this.from);
  }

  share(seconds) { return (seconds - this.from) / (this.to - this.from); }

  snapped(seconds) {
    if (this.snap.value === BEAT) return Math.round((seconds * this.data.bpm) / 60) * (60 / this.data.bpm);
    if (this.snap.value === LINE) {
      const edges = this.data.lines.flatMap(([start, end]) => [start, end]);
      return edges.reduce((best, edge) => (Math.abs(edge - seconds) < Math.abs(best - seconds) ? edge : best), edges[0]);
    }
    return Math.round(seconds * 10) / 10;
  }

  // How far the stretch at a second may reach: to its neighbours, of which only the outermost may leave the source.
  // What is added before and behind shares the room that the longest song leaves.
  limits(at) {
    const { duration, room } = this.data;
    const before = Math.max(0, ...this.others.map(([start]) => -start));
    const behind = Math.max(0, ...this.others.map(([, end]) => end - duration));
    let [low, high] = [behind - room, duration + room - before];
    for (const [start, end] of this.others) {
      if (start <= at) low = Math.max(low, 0, end + LEAST);
      else high = Math.min(high, duration, start - LEAST);
    }
    return [low, high];
  }

  set(start, end, at = this.start) {
    const { duration, room } = this.data, [low, high] = this.limits(at);
    const first = Math.max(start, low);
    const last = Math.max(0, Math.min(end, high, duration + room - Math.max(0, -first)));
    if (last - first < LEAST) return;
    [this.start, this.end] = [first, last].map((value) => Math.round(value * 1000) / 1000);
    this.show();
  }

  move(which, seconds) {
    if (which === "start") this.set(Math.min(seconds, this.end - LEAST), this.end);
    else if (which === "end") this.set(this.start, Math.max(seconds, this.start + LEAST));
    else {
      const length = this.end - this.start, [low, high] = this.limits(this.start);
      const first = Math.min(Math.max(seconds, low, -length), high - length);
      this.set(first, first + length);
    }
  }

  // --- several ------------------------------------------------------------------------------------------------------
  all() { return [[this.start, this.end], ...this.others].sort((one, other) => one[0] - other[0]); }

  number() { return this.all().findIndex(([start, end]) => start === this.start && end === this.end); }

  pick(index) {
    const one = this.all()[index];
    if (!this.others.includes(one)) return;
    this.others = [...this.others.filter((other) => other !== one), [this.start, this.end]];
    [this.start, this.end] = one;
    this.send();
    this.show();
  }

  // The longest stretch of the source that no region has, less what must lie between.
  free() {
    const edges = [-LEAST, ...this.all().flat().map((edge) => Math.min(Math.max(edge, -LEAST), this.data.duration + LEAST)), this.data.duration + LEAST];
    let best = [0, 0];
    for (let place = 0; place < edges.length; place += 2) {
      const [low, high] = [edges[place] + LEAST, edges[place + 1] - LEAST];
      if (high - low > best[1] - best[0]) best = [low, high];
    }
    return best;
  }

  add() {
    const [low, high] = this.free(), length = Math.min(NEW, (high - low) / 2);
    if (length < LEAST) return;
    const first = Math.round(((low + high - length) / 2) * 10) / 10;
    this.others = [...this.others, [this.start, this.end]];
    [this.start, this.end] = [Math.max(low, first), Math.max(low, first) + length];
    this.set(this.start, this.end);
    this.send();
  }

  remove() {
    if (!this.others.length) return;
    const place = this.number(), all = this.all();
    const next = all[place + 1] ?? all[place - 1];
    this.others = this.others.filter((other) => other !== next);
    [this.start, this.end] = next;
    this.send();
    this.show();
  }

  // --- pointer and keyboard -----------------------------------------------------------------------------------------
  grab(event, which) {
    if (event.button) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    if (which !== "draw") event.currentTarget.focus();
    const at = this.at(event), all = this.all();
    const hit = which === "draw" ? this.others.find(([start, end]) => at >= start && at <= end) : undefined;
    if (hit) return this.pick(all.indexOf(hit));
    const before = [this.start, this.end, this.others];
    this.held = { which, x: event.clientX, at, offset: at - this.start, before, adds: this.data.several && event.shiftKey };
  }

  drag(event) {
    const { which, at, offset, x } = this.held, now = this.at(event);
    if (which === "draw" && Math.abs(event.clientX - x) < CLICK) return;
    if (which === "draw" && this.held.adds && !this.held.moved) this.others = [...this.others, [this.start, this.end]];
    this.held.moved = true;
    if (which === "draw") {
      const [first, last] = [this.snapped(at), this.snapped(now)].sort((one, other) => one - other);
      this.set(first, last, at);
    } else this.move(which, this.snapped(which === "move" ? now - offset : now));
  }

  drop(event) {
    const { which, moved, before } = this.held;
    this.held = undefined;
    if (event.type === "pointercancel") [this.start, this.end, this.others] = before;
    else if (moved) this.send();
    else if (which === "draw") this.seek(this.at(event));
    this.show();
  }

  key(event, which) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const beat = this.snap.value === BEAT ? 60 / this.data.bpm : 0;
    const step = (event.shiftKey ? 10 : 1) * (beat || 0.1), { duration } = this.data;
    const now = which === "end" ? this.end : this.start;
    const keys = {
      ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step,
      PageDown: now - 10, PageUp: now + 10,
      Home: 0, End: which === "move" ? duration - (this.end - this.start) : duration,
    };
    const acts = this.data.several ? { Insert: () => this.add(), Delete: () => this.remove() } : {};
    if (!(event.key in keys) && !(event.key in acts)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key in acts) return acts[event.key]();
    const wanted = keys[event.key];
    this.move(which, ["Home", "End"].includes(event.key) ? wanted : this.nudged(wanted, now));
    clearTimeout(this.later);
    this.later = setTimeout(() => this.send(), 400); // a held key sends one change, not fifty
  }

  // To the next line's edge a step may be long; elsewhere the step itself is what was meant.
  nudged(wanted, now) {
    if (this.snap.value !== LINE) return this.snapped(wanted);
    const edges = this.data.lines.flatMap(([start, end]) => [start, end]).sort((one, other) => one - other);
    const next = wanted > now ? edges.find((edge) => edge > now + 0.005) : edges.findLast((edge) => edge < now - 0.005);
    return next ?? now;
  }

  shortcut(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "BUTTON"].includes(event.target.tagName)) return;
    const act = { " ": () => this.toggle_.click(), p: () => this.playPart(), "+": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.zoom(0) }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  send() {
    clearTimeout(this.later);
    this.count += 1; // the same stretch twice, with numbers typed in between, is still news
    this.emit("region", [this.start, this.end, this.count, this.others]);
  }

  // --- sound --------------------------------------------------------------------------------------------------------
  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(seconds, 0), this.data.duration);
    this.show();
  }

  play() {
    document.dispatchEvent(new CustomEvent(PLAYING, { detail: this }));
    this.audio.play().catch(() => this.show());
    this.follow();
  }

  playPart() {
    this.until = Math.min(this.end, this.data.duration);
    this.seek(this.start);
    this.play();
  }

  pause() {
    this.until = undefined;
    this.audio.pause();
  }

  stopAtEnd() {
    if (this.until !== undefined && this.audio.currentTime >= this.until) this.pause();
    this.show();
  }

  follow() {
    requestAnimationFrame(() => {
      this.draw();
      if (!this.audio.paused) this.follow();
    });
  }

  // --- what is seen -------------------------------------------------------------------------------------------------
  show() {
    if (!this.data) return;
    const { words, duration, room } = this.data;
    const [first, last] = [this.share(this.start), this.share(this.end)].map((share) => Math.min(1, Math.max(0, share)));
    this.grips[0].style.left = `${first * 100}%`;
    this.grips[1].style.left = `${last * 100}%`;
    this.bar.style.left = `${first * 100}%`;
    this.bar.style.width = `${(last - first) * 100}%`;
    [...this.grips, this.bar].forEach((one, index) => {
      const value = index === 1 ? this.end : this.start;
      one.setAttribute("aria-valuemin", written(-room).replace("−", "-"));
      one.setAttribute("aria-valuemax", (duration + room).toFixed(2));
      one.setAttribute("aria-valuenow", value.toFixed(2));
      one.setAttribute("aria-valuetext", `${written(value)} s`);
    });
    const added = [this.start < 0 && words.before, this.end > duration + 0.005 && words.after].filter(Boolean);
    const which = this.others.length ? `${this.named(this.number())}: ` : "";
    const text = `${which}${written(this.start)} – ${written(this.end)} s (${written(this.end - this.start)} s)`;
    this.said.textContent = [text, ...added].join(" · ");
    this.showAll();
    const playing = !this.audio.paused;
    this.toggle_.textContent = playing ? "❚❚" : "▶";
    this.toggle_.setAttribute("aria-label", playing ? words.pause : words.play);
    this.draw();
  }

  named(place) { return this.data.words.one.replace("{n}", place + 1).replace("{m}", this.others.length + 1); }

  showAll() {
    const { several, words } = this.data, all = this.all(), own = this.number();
    this.list.parentElement.hidden = !several;
    this.remover.disabled = !this.others.length;
    const [low, high] = this.free();
    this.adder.disabled = (high - low) / 2 < LEAST;
    this.adder.title = this.adder.disabled ? words.full : "";
    const shown = this.others.length ? all : [];
    while (this.list.childElementCount > shown.length) this.list.lastChild.remove();
    while (this.list.childElementCount < shown.length) this.list.append(element("button", { type: "button" }));
    shown.forEach(([start, end], place) => {
      const button = this.list.children[place], text = `${written(start)} – ${written(end)} s`;
      button.textContent = text;
      button.setAttribute("aria-label", `${this.named(place)}: ${text}`);
      button.setAttribute("aria-pressed", String(place === own));
      button.onclick = () => this.pick(place);
    });
  }

  draw() {
    const { canvas, stage } = this, ratio = window.devicePixelRatio || 1;
    const width = stage.clientWidth, height = stage.clientHeight;
    if (!width || !this.data) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(stage), pen = canvas.getContext("2d");
    const colour = (name) => style.getPropertyValue(name);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = colour("--beyond"); // what is not in the file yet
    const [zero, tail] = [this.share(0) * width, this.share(this.data.duration) * width];
    pen.fillRect(0, 0, Math.max(0, zero), height);
    pen.fillRect(tail, 0, Math.max(0, width - tail), height);
    this.grid(pen, width, height, colour("--grid"));
    this.wave(pen, width, height, colour("--chosen"), colour("--kept"));
    for (const [start, end] of this.all()) {
      const [left, wide] = [this.share(start) * width, (this.share(end) - this.share(start)) * width];
      pen.fillStyle = colour("--tint");
      pen.fillRect(left, 0, wide, height);
      pen.fillRect(left, 0, wide, 14); // where the one in hand has its bar
    }
    pen.fillStyle = colour("--cursor");
    pen.fillRect(this.share(this.audio.currentTime) * width - 1, 0, 2, height);
  }

  grid(pen, width, height, colour) {
    const edges = this.snap.value === LINE ? this.data.lines.flatMap(([start, end]) => [start, end]) : this.beats(width);
    pen.fillStyle = colour;
    for (const edge of edges) pen.fillRect(this.share(edge) * width, 0, 1, height);
  }

  beats(width) {
    if (this.snap.value !== BEAT) return [];
    let step = 60 / this.data.bpm;
    while ((step / (this.to - this.from)) * width < 6) step *= 2; // closer lines would be a wall
    const edges = [];
    for (let edge = Math.ceil(this.from / step) * step; edge < this.to; edge += step) edges.push(edge);
    return edges;
  }

  wave(pen, width, height, chosen, kept) {
    const { duration } = this.data, { peaks } = this, each = 3;
    for (let x = 0; x < width; x += each) {
      const time = this.from + (x / width) * (this.to - this.from);
      const next = this.from + ((x + each) / width) * (this.to - this.from);
      if (next <= 0 || time >= duration) continue;
      const first = Math.floor((Math.max(0, time) / duration) * peaks.length);
      const last = Math.max(first + 1, Math.ceil((Math.min(next, duration) / duration) * peaks.length));
      let loud = 0;
      for (let column = first; column < last; column++) loud = Math.max(loud, peaks[column] ?? 0);
      const tall = Math.max(2, (loud / 255) * (height - 18));
      pen.fillStyle = this.all().some(([start, end]) => time >= start && time < end) ? chosen : kept;
      pen.fillRect(x, (height - tall) / 2 + 6, each - 1, tall);
    }
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".studio-region");
  if (!editors.has(root)) editors.set(root, new Region(root));
  const editor = editors.get(root);
  editor.update(data, setStateValue);
  // A redraw may clean up too; only an editor that left the page falls silent.
  return () => setTimeout(() => root.isConnected || editor.close());
}
