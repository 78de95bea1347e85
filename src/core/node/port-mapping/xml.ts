// The little of XML that routers answer with: elements and their texts, in one pass. There is no document type, so nothing is expanded;
// attributes and prefixes of names are left out.

import { corruptAnswer } from './protocol.ts';

const depthMax = 32;
const elementsMax = 4096;

export interface XmlElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/** The outermost element. Throws `corrupt`. */
export function parseXml(text: string): XmlElement {
  const document: XmlElement = { name: '', text: '', children: [] };
  const open = [document];
  let count = 0;
  let at = 0;
  const take = (end: string, from: number): string => {
    const found = text.indexOf(end, from);
    if (found < 0) throw corruptAnswer('XML that is truncated');
    at = found + end.length;
    return text.slice(from, found);
  };
  for (let next = text.indexOf('<'); next >= 0; next = text.indexOf('<', at)) {
    const inner = open.at(-1) as XmlElement;
    inner.text += unescaped(text.slice(at, next));
    if (text.startsWith('<!--', next)) take('-->', next + 4);
    else if (text.startsWith('<![CDATA[', next)) inner.text += take(']]>', next + 9);
    else if (text.startsWith('<?', next)) take('?>', next + 2);
    else if (text.startsWith('<!', next)) throw corruptAnswer('XML with a document type');
    else if (text.startsWith('</', next)) {
      if (open.length === 1 || nameOf(take('>', next + 2)) !== inner.name) throw corruptAnswer('XML that is malformed');
      open.pop();
    } else {
      const end = endOfTag(text, next);
      const tag = text.slice(next + 1, end);
      at = end + 1;
      const element = { name: nameOf(tag), text: '', children: [] };
      if (++count > elementsMax || open.length > depthMax) throw corruptAnswer('XML that is too large');
      inner.children.push(element);
      if (!tag.endsWith('/')) open.push(element);
    }
  }
  const [root, ...others] = document.children;
  if (root === undefined || others.length > 0 || open.length > 1) throw corruptAnswer('XML that is malformed');
  return root;
}

/** All elements of that name at any depth, in order; the given one among them. */
export function elementsOf(element: XmlElement, name: string): XmlElement[] {
  const inner = element.children.flatMap((child) => elementsOf(child, name));
  return element.name === name ? [element, ...inner] : inner;
}

/** The text of the first such element. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  return element && elementsOf(element, name)[0]?.text.trim();
}

/** Attributes may hold a `>`. */
function endOfTag(text: string, begin: number): number {
  let quote = '';
  for (let i = begin; i < text.length; i++) {
    const letter = text[i] as string;
    if (quote !== '') quote = letter === quote ? '' : quote;
    else if (letter === '"' || letter === "'") quote = letter;
    else if (letter === '>') return i;
  }
  throw corruptAnswer('XML that is truncated');
}

function nameOf(tag: string): string {
  const [, name] = /^(?:[\w.-]*:)?([\w.-]+)/.exec(tag) ?? [];
  if (name === undefined) throw corruptAnswer('XML that is malformed');
  return name;
}

const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** Each once: what comes out is not looked at again. */
function unescaped(text: string): string {
  return text.replace(/&(\w{2,4});/g, (whole, name: string) => named[name] ?? whole);
}
