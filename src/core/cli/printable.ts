// What reaches a terminal: texts from elsewhere (keys, errors, names of others' nodes) may hold anything, and a control character
// can rewrite what was printed before or the title of the window. Colours of our own stay.

const escapeCharacter = '\u001b';
/** A colour, or a control character. Line breaks and tabs are neither. */
const control = new RegExp(`(${escapeCharacter}\\[[0-9;]{0,16}m)|[^\\P{Cc}\\n\\t]|[\u2028-\u202e\u2066-\u2069]`, 'gu');

/** Control characters and changes of the writing direction as escapes. */
export function printable(text: string): string {
  return text.replace(control, (found: string, colour: string | undefined) => {
    if (colour !== undefined) return colour;
    return escaped(found);
  });
}

/** JSON of one line that a terminal may be shown: the same value, its control characters as escapes. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
