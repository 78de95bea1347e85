// The rules of CONTRIBUTING.md that a program can check: layers, doors to the outside, sizes, opening comments, words that do
// not belong in the project. Pure functions from a file to problems; `test/tidy.test.ts` runs them over everything.

import ts from 'typescript';

export interface SourceFile {
  /** From the root of the project, with `/`. */
  path: string;
  text: string;
}

export const linesMax = 400;
export const functionLinesMax = 70;
/** Four, and an example. */
const openingLinesMax = 8;

/** Top to bottom: a folder imports only folders above it. */
export const layers = [
  ...['base', 'runtime', 'crypto', 'descriptor', 'block', 'silo', 'peer', 'overlay', 'consensus', 'store', 'tree'],
  ...['volume', 'gateway', 'hub', 'node', 'daemon', 'cli'],
];

/** Folders that reach the outside through `Runtime` alone. */
const closedLayers = layers.slice(layers.indexOf('block'), layers.indexOf('volume') + 1);

/** What `cli` asks of the composition root and of the daemon, written by the asker: they may name its types. */
const askedByAbove = ['src/core/cli/running.ts', 'src/core/cli/supervising.ts'];

/** The real runtime proves keys in TLS: it may use `crypto`, which stands below the contract of the runtime. */
const systemRuntime = 'src/core/runtime/system/';

/**
 * Implementations behind a contract: only their own folder, `registry.ts` files, `node/` and the entries `src/*.ts` name them;
 * gateways reach the outside themselves, so they may use the real runtime.
 */
const implementations = [
  /^src\/core\/runtime\/system\//,
  /^src\/core\/silo\/(filesystem|memory|filters|objects)/,
  /^src\/core\/overlay\/(chord|kouncil|kalimero)/,
];

/** Pattern of a call or import, and what to use instead. */
const banned: readonly (readonly [RegExp, string])[] = [
  [/^node:fs(\/|$)/, 'use runtime.files'],
  [/^node:(net|tls|dgram|http|https|dns)(\/|$)/, 'use runtime.transport'],
  [/^node:timers(\/|$)/, 'use runtime.clock'],
  [/^node:(child_process|worker_threads|cluster)$/, 'use runtime.offload'],
  [/^node:process$/, 'pass the value in'],
  [/^Date(\.|$)/, 'use runtime.clock.now()'],
  [/^performance\./, 'use runtime.clock.monotonic()'],
  [/^Math\.random$/, 'use runtime.random'],
  [/^(setTimeout|setInterval|setImmediate)$/, 'use runtime.clock.after() or sleep()'],
  [/^process\./, 'pass the value in'],
  [/^(randomBytes|randomUUID|randomInt|randomFillSync)$/, 'use runtime.random'],
];

/** Places of the workshop that mean nothing to a reader of the project. Written in pieces, so that this file is clean. */
const foreign = [`../${'shared'}`, `/${'work'}/`, `DESIGN${'.md'}`, `shared/${'reference'}`];

/** Everything wrong with a TypeScript or JavaScript file; each problem begins with `path:line`. */
export function checkCode(file: SourceFile): string[] {
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  return [
    ...checkOpening(file),
    ...checkLength(file),
    ...checkFunctions(file, tree),
    ...checkImports(file, tree),
    ...checkDoors(file, tree),
    ...checkExports(file, tree),
    ...checkWords(file),
  ];
}

/** Words that do not belong; for every kind of text. */
export function checkWords({ path, text }: SourceFile): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = foreign.find((word) => line.includes(word));
    if (found !== undefined) return [`${path}:${index + 1} names ${found}, which is no part of the project`];
    return /\b(TODO|FIXME|XXX)\b/.test(line) && !path.startsWith('scripts/tidy')
      ? [`${path}:${index + 1} leaves work behind`]
      : [];
  });
}

/** A unit test is told by its name: it mirrors a file of the core. */
function checkOpening({ path, text }: SourceFile): string[] {
  if (/^test\/unit\/.*\.test\.ts$/.test(path)) return [];
  const lines = text.split('\n');
  const start = lines[0]?.startsWith('#!') ? 1 : 0;
  const count = lines.slice(start).findIndex((line) => !line.startsWith('//'));
  if (count === 0) return [`${path}:1 does not open with a comment that says what it is for`];
  return count > openingLinesMax ? [`${path}:1 opens with ${count} lines of comment: at most ${openingLinesMax}`] : [];
}

function checkLength({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length - 1;
  return lines > linesMax ? [`${path}:${lines} has ${lines} lines: at most ${linesMax}`] : [];
}

function checkFunctions({ path }: SourceFile, tree: ts.SourceFile): string[] {
  if (path.startsWith('test/')) return [];
  const problems: string[] = [];
  visit(tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
    const first = lineOf(tree, node.getStart(tree));
    const lines = lineOf(tree, node.end) - first + 1;
    if (lines > functionLinesMax)
      problems.push(`${path}:${first} a function of ${lines} lines: at most ${functionLinesMax}`);
  });
  return problems;
}

function checkImports({ path }: SourceFile, tree: ts.SourceFile): string[] {
  return importsOf(tree).flatMap(({ target, line, typeOnly }) => {
    if (!target.startsWith('.')) return [];
    if (!/\.(ts|js|mjs|cjs|json)$/.test(target)) return [`${path}:${line} imports ${target} without its ending`];
    const to = resolvePath(path, target);
    return [...checkLayer(path, to, typeOnly), ...checkImplementation(path, to, typeOnly)].map(
      (problem) => `${path}:${line} ${problem}`,
    );
  });
}

function checkLayer(from: string, to: string, typeOnly: boolean): string[] {
  const [above, below] = [layerOf(from), layerOf(to)];
  if (above === undefined) return [];
  if (below === undefined)
    return to.startsWith('src/') || from.startsWith('src/') ? [`imports ${to} from a layer`] : [];
  if (!layers.includes(above)) return [`is in src/core/${above}, which is no layer`];
  if (layers.indexOf(below) <= layers.indexOf(above)) return [];
  if (from.startsWith(systemRuntime) && below === 'crypto') return [];
  if (askedByAbove.includes(to) && typeOnly && (above === 'node' || above === 'daemon')) return [];
  return [`imports ${to}: ${above} stands above ${below}`];
}

function checkImplementation(from: string, to: string, typeOnly: boolean): string[] {
  const named = implementations.find((pattern) => pattern.test(to));
  if (!named || typeOnly || !from.startsWith('src/')) return [];
  const layer = layerOf(from);
  const isEdge = layer === 'node' || (layer === 'gateway' && to.startsWith(systemRuntime));
  const allowed = isEdge || layer === layerOf(to) || from.endsWith('/registry.ts') || /^src\/[^/]+$/.test(from);
  return allowed ? [] : [`names the implementation ${to}: import the contract`];
}

function checkDoors({ path }: SourceFile, tree: ts.SourceFile): string[] {
  if (!closedLayers.includes(layerOf(path) ?? '')) return [];
  const problems = importsOf(tree).flatMap(({ target, line }) => door(path, line, target));
  visit(tree, (node) => {
    const line = lineOf(tree, node.getStart(tree));
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      problems.push(...door(path, line, node.expression.getText(tree)));
    } else if (ts.isPropertyAccessExpression(node) && node.expression.getText(tree) === 'process') {
      problems.push(...door(path, line, node.getText(tree)));
    }
  });
  return [...new Set(problems)];
}

function door(path: string, line: number, name: string): string[] {
  const rule = banned.find(([pattern]) => pattern.test(name));
  return rule ? [`${path}:${line} uses ${name}: ${rule[1]}`] : [];
}

function checkExports({ path }: SourceFile, tree: ts.SourceFile): string[] {
  if (path.startsWith('src/commands/')) return [];
  return tree.statements.flatMap((statement) => {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    const isDefault = modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword);
    if (!isDefault && !ts.isExportAssignment(statement)) return [];
    return [`${path}:${lineOf(tree, statement.getStart(tree))} has a default export: only commands do`];
  });
}

interface Import {
  target: string;
  line: number;
  typeOnly: boolean;
}

/** Static imports and re-exports, and `import()` of a literal. */
function importsOf(tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node, target: ts.Node, typeOnly: boolean): void => {
    if (ts.isStringLiteral(target))
      found.push({ target: target.text, line: lineOf(tree, node.getStart(tree)), typeOnly });
  };
  visit(tree, (node) => {
    if (ts.isImportDeclaration(node))
      add(node, node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [target] = node.arguments;
      if (target) add(node, target, false);
    }
  });
  return found;
}

function layerOf(path: string): string | undefined {
  return /^src\/core\/([^/]+)\//.exec(path)?.[1];
}

function resolvePath(from: string, target: string): string {
  return new URL(target, `file:///${from}`).pathname.slice(1);
}

function lineOf(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}
