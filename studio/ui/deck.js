// One deck: plays one take, or two in step so that a key switches between them without a gap.
// It keeps nothing for Python: choices between takes are made with ordinary buttons beside it.
const decks = new WeakMap();
const STEP = 5; // seconds an arrow key moves
const DRIFT = 0.08; // seconds two takes may come apart before the silent one is set right
const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];


class Deck {
  constructor(root) {
    this.root = root;
    this.tracks = [];
    this.active = 0;
    this.volume = 1;
    this.quiet = undefined;
    this.build();
    this.others = (event) => event.detail !== this && this.pause();
    document.addEventListener(PLAYING, this.others);
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.wave);
  }

  close() {
    this.pause();
    document.removeEventListener(PLAYING, this.others);
    this.sizes.disconnect();
    decks.delete(this.root);
  }

  build() {
    this.box = element("div", { class: "deck", role: "group" });
    this.play_ = element("button", { class: "play", type: "button" });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.wave = element("div", { class: "wave", role: "slider", tabindex: "0", "aria-valuemin": "0" }, this.canvas);
    this.time = element("span", { class: "time" });
    this.takes = element("span", { class: "takes", role: "group" });
    this.loop = element("button", { class: "loop", type: "button", "aria-pressed": "false" }, "⟲");
    this.rate = element("select", { class: "rate" });
    for (const rate of RATES) this.rate.append(element("option", { value: String(rate) }, `${rate}×`));
    this.rate.value = "1";
    this.gain = element("input", { class: "volume", type: "range", min: "0", max: "1", step: "0.05", value: "1" });
    this.line = element("p", { class: "line" });
    this.list = element("ol", { class: "lines" });
    const tools = element("div", { class: "tools" }, this.time, this.takes, this.loop, this.rate, this.gain);
    this.box.append(element("div", { class: "top" }, this.play_, this.wave), tools, this.line, this.list);
    this.root.replaceChildren(this.box);
    this.play_.onclick = () => this.toggle();
    this.loop.onclick = () => this.setLoop(!this.looping);
    this.rate.onchange = () => this.each((audio) => (audio.playbackRate = Number(this.rate.value)));
    this.gain.oninput = () => this.sound();
    this.wave.onpointerdown = (event) => this.grab(event);
    this.wave.onpointermove = (event) => event.buttons && this.seek(this.at(event));
    this.box.onkeydown = (event) => this.key(event);
  }

  get audio() { return this.tracks[this.active]?.audio; }
  get duration() { return this.data.tracks[this.active]?.duration || 0; }
  get looping() { return this.loop.getAttribute("aria-pressed") === "true"; }
  each(act) { this.tracks.forEach((track, index) => act(track.audio, index)); }

  update(data) {
    this.data = data;
    const words = data.words;
    this.box.classList.toggle("wide", data.wide);
    this.box.setAttribute("aria-label", data.label);
    this.wave.setAttribute("aria-label", words.position);
    this.loop.setAttribute("aria-label", words.loop);
    this.loop.title = words.loop;
    this.rate.setAttribute("aria-label", words.rate);
    this.gain.setAttribute("aria-label", words.volume);
    this.takes.setAttribute("aria-label", words.takes);
    this.setTracks(data.tracks);
    this.setLines(data.cues);
    if (this.quiet !== undefined && data.quiet !== this.quiet) this.pause(); // a new generation has begun
    this.quiet = data.quiet;
    this.show();
    this.draw();
  }

  // A link is signed anew each hour; a take that is here keeps the link it has, or its sound would break off.
  setTracks(wanted) {
    if (wanted.map((track) => track.id).join() !== this.tracks.map((track) => track.id).join()) {
      this.pause();
      this.each((audio) => audio.remove());
      this.tracks = wanted.map((track) => ({ id: track.id, audio: this.load(track) }));
      this.active = Math.min(this.active, wanted.length - 1);
      this.takes.replaceChildren(...(wanted.length > 1 ? wanted.map((track, index) => this.choice(index)) : []));
    }
    wanted.forEach((track, index) => {
      this.tracks[index].url = track.url;
      if (this.takes.children[index]) this.takes.children[index].textContent = track.label;
    });
    this.sound();
  }

  load(track) {
    const audio = element("audio", { src: track.url, preload: "metadata", "aria-label": track.label });
    audio.onplay = audio.onpause = audio.onseeked = audio.onloadedmetadata = () => this.show();
    audio.ontimeupdate = () => this.show();
    audio.onended = () => audio === this.audio && this.pause();
    audio.onerror = () => {
      const newest = this.tracks.find((one) => one.audio === audio)?.url;
      if (newest && newest !== audio.getAttribute("src")) audio.setAttribute("src", newest);
    };
    audio.loop = this.looping;
    this.box.append(audio);
    return audio;
  }

  choice(index) {
    const button = element("button", { type: "button", "aria-pressed": String(index === this.active) });
    button.onclick = () => this.switchTo(index);
    return button;
  }

  // Both play all the time and one is muted: that is what makes the switch instant.
  switchTo(index) {
    if (index === this.active || !this.tracks[index]) return;
    const from = this.audio, to = this.tracks[index].audio;
    if (Math.abs(to.currentTime - from.currentTime) > DRIFT) to.currentTime = from.currentTime;
    if (!from.paused && to.paused) to.play();
    this.active = index;
    this.sound();
    this.show();
    this.draw();
  }

  sound() {
    this.each((audio, index) => {
      audio.muted = index !== this.active;
      audio.volume = Number(this.gain.value) * this.data.tracks[index].gain;
    });
    [...this.takes.children].forEach((button, index) =>
      button.setAttribute("aria-pressed", String(index === this.active)));
  }

  toggle() { return this.audio?.paused ? this.play() : this.pause(); }

  play() {
    document.dispatchEvent(new CustomEvent(PLAYING, { detail: this }));
    const now = this.audio.currentTime;
    this.each((audio) => {
      if (audio !== this.audio) audio.currentTime = now;
      audio.playbackRate = Number(this.rate.value);
      audio.play().catch(() => this.show());
    });
    this.follow();
  }

  pause() {
    this.each((audio) => audio.pause());
    if (this.data) this.show();
  }

  seek(seconds) {
    const to = Math.min(Math.max(seconds, 0), this.duration);
    this.each((audio) => (audio.currentTime = to));
    this.show(to);
  }

  setLoop(on) {
    this.loop.setAttribute("aria-pressed", String(on));
    this.each((audio) => (audio.loop = on));
  }

  at(event) {
    const box = this.wave.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * this.duration;
  }

  grab(event) {
    this.wave.setPointerCapture(event.pointerId);
    this.seek(this.at(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "INPUT"].includes(event.target.tagName)) return;
    const onButton = event.target.tagName === "BUTTON";
    const now = this.audio?.currentTime ?? 0, step = event.shiftKey ? 1 : STEP;
    const keys = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(now - step),
      ArrowRight: () => this.seek(now + step),
      Home: () => this.seek(0),
      End: () => this.seek(this.duration),
      l: () => this.setLoop(!this.looping),
      a: () => this.switchTo(0),
      b: () => this.switchTo(1),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (onButton && event.key === " ")) return; // a button answers the space bar itself
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  // The line list is drawn once; while the take plays only a class moves.
  setLines(cues) {
    const text = JSON.stringify(cues);
    if (text === this.drawnCues) return;
    this.drawnCues = text;
    this.list.replaceChildren(...(this.data.wide ? cues : []).map(([start, , words]) => {
      const line = element("li", {}, element("button", { type: "button" }, words));
      line.firstChild.onclick = () => this.seek(start);
      return line;
    }));
    this.list.hidden = this.list.children.length === 0;
    this.current = undefined;
  }

  show(position) {
    const audio = this.audio, now = position ?? audio?.currentTime ?? 0, words = this.data.words;
    const playing = audio !== undefined && !audio.paused;
    this.play_.textContent = playing ? "❚❚" : "▶";
    this.play_.setAttribute("aria-label", playing ? words.pause : words.play);
    this.time.textContent = `${clock(now)} / ${clock(this.duration)}`;
    this.wave.setAttribute("aria-valuemax", this.duration.toFixed(1));
    this.wave.setAttribute("aria-valuenow", now.toFixed(1));
    this.wave.setAttribute("aria-valuetext", this.time.textContent);
    for (const { audio: other } of this.tracks) {
      if (other !== audio && playing && Math.abs(other.currentTime - now) > DRIFT) other.currentTime = now;
    }
    this.showLine(now);
    if (!playing) this.draw(now);
  }

  showLine(now) {
    const index = this.data.cues.findIndex(([start, end]) => start <= now && now < end);
    if (index === this.current) return;
    this.current = index;
    this.line.textContent = index < 0 ? "" : this.data.cues[index][2];
    [...this.list.children].forEach((line, position) => {
      line.classList.toggle("now", position === index);
      if (position === index) this.list.scrollTop = line.offsetTop - this.list.clientHeight / 2;
      line.firstChild.toggleAttribute("aria-current", position === index);
    });
  }

  follow() {
    requestAnimationFrame(() => {
      this.draw();
      if (this.audio && !this.audio.paused) this.follow();
    });
  }

  draw(position) {
    const { canvas, wave } = this, peaks = this.data?.tracks[this.active]?.peaks ?? [];
    const ratio = window.devicePixelRatio || 1, width = wave.clientWidth, height = wave.clientHeight;
    if (!width || !this.data) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(wave), pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const played = (position ?? this.audio?.currentTime ?? 0) / (this.duration || 1);
    const bars = Math.max(1, Math.min(Math.floor(width / 3), peaks.length || 1));
    for (let bar = 0; bar < bars; bar++) {
      const part = peaks.slice(Math.floor((bar * peaks.length) / bars), Math.ceil(((bar + 1) * peaks.length) / bars));
      const tall = Math.max(2, (Math.max(0, ...part) / 255) * height);
      pen.fillStyle = bar / bars < played ? style.getPropertyValue("--played") : style.getPropertyValue("--ahead");
      pen.fillRect((bar * width) / bars, (height - tall) / 2, Math.max(1, width / bars - 1), tall);
    }
    pen.fillStyle = style.getPropertyValue("--cursor");
    pen.fillRect(Math.min(played * width, width - 2), 0, 2, height);
  }
}

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".studio-deck");
  if (!decks.has(root)) decks.set(root, new Deck(root));
  const deck = decks.get(root);
  deck.update(data);
  // A redraw may clean up too; only a deck that left the page falls silent.
  return () => setTimeout(() => root.isConnected || deck.close());
}
