// Resolves one module to another one: the hook of planted bugs.

let from = '';
let to = '';

export function initialize(plant) {
  from = plant.from;
  to = plant.to;
}

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  return found.url.split('?')[0] === from ? { ...found, url: to, shortCircuit: true } : found;
}
