// One take after another on one audio clock: the next one is loaded while one plays, and starts on the sample at
// which that one ends.
const radios = new WeakMap();
const LEAD = 0.05; // seconds between asking for a start and its moment

class Radio {
  constructor(root) {
    this.root = root;
    this.index = 0; // of the take that plays or would
    this.slots = []; // what is scheduled: {index, source, start, end, gap}
    this.buffers = new Map();
    this.box = element("div", { class: "radio", role: "group" });
    this.play_ = element("button", { type: "button", class: "play" }, "▶");
    this.skip = element("button", { type: "button" });
    this.now = element("span", { class: "now", "aria-live": "polite" });
    this.time = element("span", { class: "time" });
    this.volume = element("input", { type: "range", min: "0", max: "1", step: "0.01", value: "1" });
    this.status = element("output", { "aria-live": "polite" });
    this.box.append(element("div", { class: "top" }, this.play_, this.now, this.time, this.skip, this.volume), this.status);
    root.replaceChildren(this.box);
    this.play_.onclick = () => (this.on ? this.stop() : this.start());
    this.skip.onclick = () => this.jump();
    this.volume.oninput = () => this.context && (this.out.gain.value = Number(this.volume.value));
    this.others = (event) => event.detail !== this && this.stop();
    document.addEventListener(PLAYING, this.others);
  }

  update(data, emit) {
    // What has been played leaves the list at its front.
    const gone = this.data ? this.data.tracks.findIndex((track) => track.id === data.tracks[0]?.id) : 0;
    if (gone > 0) {
      this.index -= gone;
      for (const slot of this.slots) slot.index -= gone;
    }
    this.data = data;
    this.emit = emit;
    const words = data.words;
    this.box.setAttribute("aria-label", words.label);
    this.volume.setAttribute("aria-label", words.volume);
    this.skip.textContent = words.skip;
    this.show();
    if (this.on) this.fill();
  }

  async start() {
    if (!this.context) {
      this.context = new AudioContext();
      this.out = this.context.createGain();
      this.out.gain.value = Number(this.volume.value);
      this.out.connect(this.context.destination);
    }
    document.dispatchEvent(new CustomEvent(PLAYING, { detail: this }));
    this.on = true;
    await this.context.resume();
    this.fill();
    this.follow();
  }

  stop() {
    if (!this.on) return;
    this.on = false;
    this.drop();
    this.show();
  }

  drop() {
    for (const { source } of this.slots) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.slots = [];
    this.last = undefined;
  }

  jump() {
    if (this.index + 1 >= this.data.tracks.length) return;
    this.drop();
    this.index += 1;
    this.show();
    if (this.on) this.fill();
  }

  async load(track) {
    if (!this.buffers.has(track.id)) {
      this.buffers.set(track.id, (async () => {
        const answer = await fetch(track.url);
        if (!answer.ok) throw new Error(track.title);
        return this.context.decodeAudioData(await answer.arrayBuffer());
      })());
      for (const id of this.buffers.keys()) if (this.buffers.size > 4) this.buffers.delete(id); // the oldest
    }
    return this.buffers.get(track.id);
  }

  // Keep the take that plays and the next one scheduled.
  async fill() {
    if (this.filling) return;
    this.filling = true;
    try {
      while (this.on && this.slots.length < 2) {
        const index = this.slots.length ? this.slots.at(-1).index + 1 : this.index, track = this.data.tracks[index];
        if (!track) break;
        const buffer = await this.load(track);
        if (!this.on) break;
        const expected = this.slots.length ? this.slots.at(-1).index + 1 : this.index;
        if (expected !== index) continue; // somebody skipped meanwhile
        const soonest = this.context.currentTime + LEAD, joined = this.last ?? 0;
        const start = Math.max(joined, soonest), source = this.context.createBufferSource(), gain = this.context.createGain();
        source.buffer = buffer;
        gain.gain.value = track.gain;
        source.connect(gain).connect(this.out);
        source.start(start);
        const slot = { index, source, start, end: start + buffer.duration, gap: joined ? start - joined : 0 };
        source.onended = () => this.ended(slot);
        this.slots.push(slot);
        this.last = slot.end;
        if (this.slots.length === 1) this.say();
      }
    } catch (error) {
      this.stop();
      this.status.textContent = `${this.data.words.failed} ${error.message}`;
    } finally {
      this.filling = false;
    }
    this.show();
  }

  ended(slot) {
    if (this.slots[0] !== slot) return;
    this.slots.shift();
    this.index = slot.index + 1;
    if (this.slots.length) this.say();
    this.fill();
  }

  // Which take plays, and how long it was quiet before it.
  say() {
    const { index, gap } = this.slots[0];
    this.box.dataset.gap = String(Math.round(1000 * gap));
    this.box.dataset.played = String(Number(this.box.dataset.played ?? 0) + 1);
    this.emit("playing", this.data.tracks[index].id);
  }

  follow() {
    setTimeout(() => {
      if (!this.on) return;
      this.show();
      this.follow();
    }, 250);
  }

  show() {
    const words = this.data.words, track = this.data.tracks[this.index], slot = this.slots[0];
    this.play_.textContent = this.on ? "❚❚" : "▶";
    this.play_.setAttribute("aria-label", this.on ? words.stop : words.play);
    this.skip.disabled = this.index + 1 >= this.data.tracks.length;
    this.now.textContent = track ? track.title : words.waiting;
    const at = slot ? Math.max(0, Math.min(this.context.currentTime - slot.start, slot.end - slot.start)) : 0;
    this.time.textContent = track ? `${clock(at)} / ${clock(track.duration)}` : "";
    const next = this.data.tracks[this.index + 1];
    this.status.textContent = !track ? "" : next ? `${words.next}: ${next.title}` : words.making;
  }

  close() {
    this.stop();
    document.removeEventListener(PLAYING, this.others);
    this.context?.close();
    radios.delete(this.root);
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".studio-radio");
  if (!radios.has(root)) radios.set(root, new Radio(root));
  const radio = radios.get(root);
  radio.update(data, setStateValue);
  return () => setTimeout(() => root.isConnected || radio.close());
}
