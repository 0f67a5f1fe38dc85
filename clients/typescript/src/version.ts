/** Shown to operators; the same as in package.json. */
export const sdkVersion = "0.1.0";

export const sdkName = `typescript/${sdkVersion}`;
