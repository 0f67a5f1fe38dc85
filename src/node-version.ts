/** On anything older better-sqlite3 ends the process with a segmentation fault, without a word. As in package.json. */
const nodeMajorMin = 24;

/** What is wrong with this Node, in one line; undefined when it will do. */
export function nodeComplaint(version: string): string | undefined {
  const major = Number.parseInt(version, 10);
  return major >= nodeMajorMin ? undefined : `everstep needs Node ${nodeMajorMin} or newer; this is ${version}`;
}
