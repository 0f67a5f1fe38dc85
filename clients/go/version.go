package everstep

// Version of the SDK, shown to operators.
const Version = "0.1.0"

const sdkName = "go/" + Version
