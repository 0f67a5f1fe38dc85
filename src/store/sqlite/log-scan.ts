import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { flippedBitExplains, type Sum, sumOf } from "./log-sum.ts";

// SQLite's recovery takes the log up to the first frame whose checksum is wrong and says nothing of what stands behind
// it. After a power cut that is right: those are frames of the one commit that was not synced yet, because no commit is
// written before the sync of the one before it has returned. When whole commits stand behind the wrong frame, or when
// one flipped bit explains it, the log has been damaged, and what recovery leaves out had been acknowledged.
//
// Each frame's checksum goes on from that of the frame before it. So a frame behind the damage is judged from the sum
// that its predecessor says it has.

export interface LogDamage {
  /** Byte of the log at which the damaged part begins. */
  readonly at: number;
  readonly message: string;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
/** What a frame's checksum covers of its header: the page's number, and the size of the database behind a commit. */
const summedHeaderBytes = 8;
/** Of a log whose header cannot be believed. */
const pageBytesDefault = 4_096;
const framesPerRead = 256;
const versions = [0x377f0682, 0x377f0683];

interface Frame {
  /** Byte of the log. */
  readonly at: number;
  readonly bytes: DataView;
  readonly commits: boolean;
  readonly salts: string;
  /** The sum that the frame says it has. */
  readonly told: Sum;
}

/** Nothing is wrong with a log that recovery takes as a whole, or up to a commit that a power cut has torn. */
export function findLogDamage(path: string): LogDamage | undefined {
  const file = openIfThere(path);
  if (file === undefined) return undefined;
  try {
    const { size } = fstatSync(file);
    if (size <= headerBytes) return undefined;
    return scan(file, size);
  } finally {
    closeSync(file);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function scan(file: number, size: number): LogDamage | undefined {
  const header = read(file, 0, headerBytes);
  const littleEndian = header.getUint32(0) !== versions[1];
  const salts = saltsAt(header, 16);
  const told = sumAt(header, 24);
  const trusted = versions.includes(header.getUint32(0)) && equal(sumOf([0, 0], header, 0, 24, littleEndian), told);
  const pageBytes = trusted ? header.getUint32(8) : pageBytesDefault;
  const from: Start = { salts, told, littleEndian };
  const walk = () => frames(file, size, pageBytes);
  if (trusted) return behindGoodHeader(walk(), from);
  // The header also tells the order of the bytes in a word.
  return behindBadHeader(walk(), from) ?? behindBadHeader(walk(), { ...from, littleEndian: !littleEndian });
}

interface Start {
  readonly salts: string;
  readonly told: Sum;
  readonly littleEndian: boolean;
}

/** No header, no log, for SQLite; it was synced before the first frame was written. */
function behindBadHeader(walk: Iterable<Frame>, { told, littleEndian }: Start): LogDamage | undefined {
  let last = { told, salts: "" };
  for (const frame of walk) {
    const follows = last.salts === "" || frame.salts === last.salts;
    if (follows && frame.commits && equal(sumOfFrame(last.told, frame, littleEndian), frame.told)) {
      return { at: 0, message: "its header is damaged, and commits stand behind it" };
    }
    last = frame;
  }
  return undefined;
}

function behindGoodHeader(walk: Iterable<Frame>, { salts, told, littleEndian }: Start): LogDamage | undefined {
  let last = told;
  let wrong: Frame | undefined;
  /** A commit has ended behind the wrong frame, perhaps that of this frame; all frames since then go on from each other. */
  let ended = false;
  for (const frame of walk) {
    const sum = sumOfFrame(last, frame, littleEndian);
    const good = equal(sum, frame.told);
    if (wrong === undefined) {
      if (good && frame.salts !== salts) return damage(frame, "the frame there names another generation of the log");
      if (
        !good &&
        frame.salts === salts &&
        flippedBitExplains(sum, frame.told, summedHeaderBytes + frame.bytes.byteLength - frameHeaderBytes)
      ) {
        return damage(frame, "one bit of the frame there is flipped");
      }
      if (!good) wrong = frame;
    } else {
      // Frames of an earlier generation, or left over from a commit that failed, do not go on from each other.
      if (!good || frame.salts !== salts) ended = false;
      else if (frame.commits && ended)
        return damage(wrong, "the frame there is damaged, and later commits stand behind it");
      else if (frame.commits) ended = true;
    }
    last = frame.told;
  }
  return undefined;
}

function damage({ at }: Frame, message: string): LogDamage {
  return { at, message };
}

function* frames(file: number, size: number, pageBytes: number): Generator<Frame> {
  const frameBytes = frameHeaderBytes + pageBytes;
  const count = Math.floor((size - headerBytes) / frameBytes);
  for (let first = 0; first < count; first += framesPerRead) {
    const here = Math.min(framesPerRead, count - first);
    const chunk = read(file, headerBytes + first * frameBytes, here * frameBytes);
    for (let frame = 0; frame < here; frame++) {
      const bytes = new DataView(chunk.buffer, chunk.byteOffset + frame * frameBytes, frameBytes);
      yield {
        at: headerBytes + (first + frame) * frameBytes,
        bytes,
        commits: bytes.getUint32(4) !== 0,
        salts: saltsAt(bytes, 8),
        told: sumAt(bytes, 16),
      };
    }
  }
}

function sumOfFrame(before: Sum, { bytes }: Frame, littleEndian: boolean): Sum {
  const header = sumOf(before, bytes, 0, summedHeaderBytes, littleEndian);
  return sumOf(header, bytes, frameHeaderBytes, bytes.byteLength, littleEndian);
}

function read(file: number, at: number, length: number): DataView {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const got = readSync(file, bytes, done, length - done, at + done);
    if (got === 0) break;
    done += got;
  }
  return new DataView(bytes.buffer);
}

function saltsAt(view: DataView, at: number): string {
  return `${view.getUint32(at)}/${view.getUint32(at + 4)}`;
}

function sumAt(view: DataView, at: number): Sum {
  return [view.getUint32(at) | 0, view.getUint32(at + 4) | 0];
}

function equal(a: Sum, b: Sum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
