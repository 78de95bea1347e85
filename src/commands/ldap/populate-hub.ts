// infinit ldap populate-hub

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { LdapCommand } from '../../core/cli/ldap-command.ts';
import { ldapFlags } from '../../core/cli/ldap-flags.ts';
import { remotelyDone } from '../../core/cli/texts.ts';
import { Passwords } from '../../core/cli/user-hub-flags.ts';

export default class LdapPopulateHub extends LdapCommand {
  static override summary = 'Keep names on the hub for the people of a directory; its administrators only';
  static override description =
    'Each takes up his name by `infinit user login NAME`: he proves who he is by his password of the directory, and his key is made ' +
    'on his device. Who has a name keeps it. In patterns $(cn) is an attribute of the entry, % a number where a name is taken.';
  static override examples = [
    {
      description: 'Everybody in a group below ou=groups',
      command: 'infinit ldap populate-hub --server ldaps://ldap.example.com -d example.com -u admin -b ou=groups',
    },
    {
      description: 'All people, by their login',
      command:
        "infinit ldap populate-hub --server ldap.example.com -d example.com -b ou=people -o inetOrgPerson -U '$(uid)'",
    },
  ];
  static override flags = {
    ...ldapFlags,
    'username-pattern': Flags.string({
      char: 'U',
      description: 'name of the user (default: $(cn)%)',
      helpValue: 'PATTERN',
      default: '$(cn)%',
    }),
    'email-pattern': Flags.string({
      char: 'e',
      description: 'his e-mail address (default: $(mail))',
      helpValue: 'PATTERN',
      default: '$(mail)',
    }),
    'fullname-pattern': Flags.string({
      char: 'F',
      description: 'his full name (default: $(cn))',
      helpValue: 'PATTERN',
      default: '$(cn)',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(LdapPopulateHub);
    const patterns = {
      username: flags['username-pattern'],
      email: flags['email-pattern'],
      fullname: flags['fullname-pattern'],
    };
    const sharing = await this.sharing();
    const { attributesOf } = await import('../../core/hub/directory/patterns.ts');
    const passwords = new Passwords(this.invocation, flags.password);
    const roster = await this.roster(flags, attributesOf(...Object.values(patterns)), passwords);
    const { keepUsers, planUsers } = await import('../../core/hub/client/directory-users.ts');
    const plan = await planUsers(sharing, roster.people, patterns);
    const problems = [...roster.problems, ...plan.problems];
    const news = plan.users.filter(({ result }) => result === 'created' || result === 'updated');
    if (news.length > 0) {
      this.say('Users to put on the hub:', ...news.map(({ name, dn }) => `  ${name} (${dn})`));
      if (!this.script && !(await passwords.confirm('Proceed?')))
        throw new InfinitError('cancelled', 'nothing is put on the hub');
    }
    const users = await keepUsers(sharing, plan);
    this.tellProblems(problems);
    this.render(
      { users, problems },
      users.map(({ name, result }) => {
        const outcome = result === 'created' || result === 'updated' ? result : 'unchanged';
        return remotelyDone(outcome, `user "${name}"`);
      }),
    );
  }
}
