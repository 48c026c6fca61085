// A process that opens socket marks in the network namespace it is in, asks for the key of FILE in a second thread, makes a
// socket and asks who made it, prints one line of JSON and waits. Usage: holder.mjs CGROUP_MOUNT_DIR FILE
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { openSocketMarks } from '../../../dist/kernel/bpf/linux-socket-marks.js';
import { borrowSocketMarks } from '../../../dist/kernel/bpf/socket-mark-maps.js';
import { libc } from '../../../dist/kernel/libc.js';

if (isMainThread) await hold(process.argv[2], process.argv[3]);
else await borrow(workerData);

async function hold(cgroupMountDir, file) {
  let marks;
  try {
    marks = openSocketMarks({ cgroupMountDir });
  } catch ({ name, operation, code, object, message }) {
    console.log(JSON.stringify({ refusal: { name, operation, code, object, message } }));
    return;
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: { handle: marks.handle, file } });
  worker.once('message', (borrowed) => {
    const key = marks.keyOfFile(file);
    const creator = marks.creatorOf(ownSocketCookie())?.pid;
    console.log(JSON.stringify({ key, borrowed, pid: process.pid, creator }));
    setInterval(() => marks.counts(), 1000);
  });
}

async function borrow({ handle, file }) {
  const { parentPort } = await import('node:worker_threads');
  parentPort.postMessage(borrowSocketMarks(handle).keyOfFile(file));
}

/** SO_COOKIE of a datagram socket that this thread makes, and closes. */
function ownSocketCookie() {
  const [AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_COOKIE] = [2, 2, 1, 57];
  const fd = libc().socket(AF_INET, SOCK_DGRAM, 0);
  const cookie = new BigUint64Array(1);
  libc().getsockopt(fd, SOL_SOCKET, SO_COOKIE, new Uint8Array(cookie.buffer), new Uint8Array([8, 0, 0, 0]));
  libc().close(fd);
  return cookie[0];
}
