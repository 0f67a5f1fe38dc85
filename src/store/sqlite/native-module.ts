import SqliteDatabase, { type Database, type Options } from "better-sqlite3";

// better-sqlite3 is compiled code. Its package carries it for the usual platforms, so that nothing is compiled or
// downloaded when it is installed; on any other platform, or after a copy that left files out, it is missing.

/** Opens a database; says what to do when there is no compiled code to open it with. */
export function openDatabase(path: string, options: Options): Database {
  try {
    return new SqliteDatabase(path, options);
  } catch (error) {
    throw isNativeModuleMissing(error) ? new Error(nativeModuleAdvice, { cause: error }) : error;
  }
}

function isNativeModuleMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "MODULE_NOT_FOUND" || code === "ERR_DLOPEN_FAILED";
}

const nativeModuleAdvice =
  `the compiled part of better-sqlite3 is missing or unfit for ${process.platform}-${process.arch}: remove node_modules ` +
  'and run "npm install" again, or where better-sqlite3 has no binary for the platform, run "npx node-gyp rebuild ' +
  '--release --force_build=1" in its folder';
