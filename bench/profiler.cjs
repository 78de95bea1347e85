// Loaded first into a process to be profiled (NODE_OPTIONS=--require): from SIGUSR2 on it is profiled, and leaves a CPU profile
// in BENCH_PROFILE when it ends. Node takes no --cpu-prof from NODE_OPTIONS, and that would profile the start too.

const { writeFileSync } = require('node:fs');
const { Session } = require('node:inspector');

const file = process.env.BENCH_PROFILE;
if (file) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 200 });
  process.on('SIGUSR2', () => session.post('Profiler.start'));
  process.once('exit', () => {
    session.post('Profiler.stop', (error, { profile }) => {
      if (!error) writeFileSync(file, JSON.stringify(profile));
    });
  });
}
