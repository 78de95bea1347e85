// The only style sheet of the hub's pages: light and dark as the reader's system is, one column on a telephone.

export const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #556070; --paper: #f6f7f9; --card: #ffffff; --line: #d9dee5; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #a3adba; --paper: #14181e; --card: #1d232b; --line: #333c48; --accent: #7fb8f5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; }
header strong { font-size: 1.1rem; letter-spacing: 0.01em; margin-right: auto; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.75rem; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: 0.5rem 0; }
.soft, footer { color: var(--soft); font-size: 0.9rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; padding: 1rem; margin: 0 0 1rem; }
.card > header { padding: 0; margin: 0 0 0.5rem; }
.card h3 { margin-right: auto; }
.tag { border: 1px solid var(--line); border-radius: 1rem; padding: 0 0.6rem; font-size: 0.85rem; color: var(--soft); }
code { font: 0.9em ui-monospace, monospace; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.6rem; overflow-x: auto; }
meter { width: 100%; height: 0.9rem; }
table { width: 100%; border-collapse: collapse; margin-top: 0.75rem; font-size: 0.95rem; }
caption { text-align: left; color: var(--soft); font-size: 0.9rem; padding-bottom: 0.25rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.75rem 0.4rem 0; border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 600; }
button { font: inherit; color: var(--card); background: var(--accent); border: 1px solid var(--accent); border-radius: 0.4rem; padding: 0.45rem 1rem; cursor: pointer; }
header button { color: var(--accent); background: transparent; padding: 0.2rem 0.7rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 40rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { display: block; border-top: 1px solid var(--line); padding: 0.4rem 0; }
  th, td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: 0.1rem 0; }
  td::before, tbody th::before { content: attr(data-label); color: var(--soft); font-weight: 400; flex: none; }
  td > *, tbody th > * { text-align: right; }
}
`;
