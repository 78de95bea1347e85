// Completion scripts for shells, generated from the registry: words of objects and modes, then options of the command.

import { describe } from './help.ts';
import { type CommandRegistry, loadCommands, wordsAfter } from './registry.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

export async function completionScript(registry: CommandRegistry, shell: Shell): Promise<string> {
  const table = await completionTable(registry);
  if (shell === 'fish') return fishScript(table);
  const zsh = shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : '';
  return zsh + bashScript(table);
}

/** Path as typed to the words that may follow it. */
async function completionTable(registry: CommandRegistry): Promise<Map<string, string[]>> {
  const table = new Map([['', [...wordsAfter(registry, []), '--help', '--version']]]);
  for (const { name, command } of await loadCommands(registry, [])) {
    const path = name.split(' ');
    for (let length = 1; length < path.length; length++) {
      const prefix = path.slice(0, length);
      table.set(prefix.join(' '), [...wordsAfter(registry, prefix), '--help']);
    }
    table.set(
      name,
      describe(name, command).options.map((option) => `--${option.name}`),
    );
  }
  return table;
}

function bashScript(table: ReadonlyMap<string, string[]>): string {
  const cases = [...table].map(([path, words]) => `    '${path}') words='${words.join(' ')}' ;;`);
  return `# Completion of infinit: source this file.
_infinit_words() {
  case "$1" in
${cases.join('\n')}
    *) words='' ; return 1 ;;
  esac
}
_infinit() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' next words at
  for ((at = 1; at < COMP_CWORD; at++)); do
    next="\${path:+$path }\${COMP_WORDS[at]}"
    _infinit_words "$next" || break
    path="$next"
  done
  _infinit_words "$path"
  if [[ "$words" == --* && "$current" != -* ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -F _infinit infinit
`;
}

function fishScript(table: ReadonlyMap<string, string[]>): string {
  const cases = [...table].map(([path, words]) => `    case '${path}'\n      string split ' ' -- '${words.join(' ')}'`);
  return `# Completion of infinit: source this file.
function __infinit_words
  switch "$argv"
${cases.join('\n')}
    case '*'
      return 1
  end
end
function __infinit_complete
  set -l path
  for word in (commandline -opc)[2..]
    __infinit_words $path $word >/dev/null; or break
    set -a path $word
  end
  __infinit_words $path
end
complete -c infinit -a '(__infinit_complete)'
`;
}
