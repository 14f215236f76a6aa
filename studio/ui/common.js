// What every element of ours begins with; component.py puts it in front of each one's own code.
const PLAYING = "studio:deck-plays"; // said on the document by whatever sounds, so that only one thing does
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

