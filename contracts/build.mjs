// Compiles every .sol file under src into ../lazai_core/lazvm/contracts/<Name>.json.
//
// The artifacts are committed, so that users need no Node. Equal sources give equal bytes: the compiler
// is pinned, keys are written in one order, and no metadata hash goes into the bytecode.
//
// Usage: node build.mjs [--check] [SOURCE_FOLDER [ARTIFACT_FOLDER]]
//   --check   writes nothing; exits with 1 when an artifact differs from what its source compiles to

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = dirname(fileURLToPath(import.meta.url));
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const folders = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const checkOnly = flags.includes("--check");
const sourceFolder = resolve(folders[0] ?? join(here, "src"));
const artifactFolder = resolve(folders[1] ?? join(here, "..", "lazai_core", "lazvm", "contracts"));

// viaIR stays off: without it stack layouts, and so bytecode, are the ones that debuggers and
// gas reports of the field expect. A source that needs it should be split instead.
const settings = {
  evmVersion: "prague",
  optimizer: { enabled: true, runs: 200 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: {
    "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode", "storageLayout"] },
  },
};

function fail(text) {
  console.error(`contracts: ${text}`);
  process.exit(1);
}

function readSources() {
  if (!existsSync(sourceFolder)) fail(`no source folder ${sourceFolder}`);
  const names = readdirSync(sourceFolder, { recursive: true }).filter((name) => name.endsWith(".sol")).sort();
  const read = (name) => readFileSync(join(sourceFolder, name), "utf8");
  return Object.fromEntries(names.map((name) => [name, { content: read(name) }]));
}

function compile(sources) {
  const input = { language: "Solidity", sources, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((entry) => entry.severity === "error");
  for (const entry of output.errors ?? []) console.error(entry.formattedMessage.trimEnd());
  if (errors.length > 0) fail(`${errors.length} error(s), nothing written`);
  return output;
}

function sha256(text) {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

// The compiler puts syntax-tree ids into the names of structs, enums and contracts. The ids move when an
// unrelated source changes; without them an artifact depends on its own sources alone. (Array lengths stay.)
function withoutIds(typeName) {
  return typeName.replace(/(t_(?:struct|enum|contract|userDefinedValueType)\(\w+\))\d+/g, "$1");
}

function stableSlots(slots) {
  const stable = ({ label, offset, slot, type }) => ({ label, offset, slot: Number(slot), type: withoutIds(type) });
  return slots.map(stable);
}

function stableLayout(contractName, layout) {
  const types = {};
  for (const [rawName, entry] of Object.entries(layout?.types ?? {})) {
    const name = withoutIds(rawName);
    if (name in types) fail(`${contractName} stores two types called ${name}: rename one`);
    types[name] = { encoding: entry.encoding, label: entry.label, bytes: Number(entry.numberOfBytes) };
    for (const part of ["base", "key", "value"]) if (entry[part]) types[name][part] = withoutIds(entry[part]);
    if (entry.members) types[name].members = stableSlots(entry.members);
  }
  return { storage: stableSlots(layout?.storage ?? []), types };
}

// Files that a source imports, itself included, in order: all of them decide its bytecode.
function closure(name, sources, seen = new Set()) {
  if (seen.has(name)) return seen;
  if (!(name in sources)) fail(`${name} is imported but is not in ${sourceFolder}`);
  seen.add(name);
  const imports = sources[name].content.matchAll(/^\s*import\s+(?:[^"';]*from\s+)?["'](\.[^"']+)["']/gm);
  for (const [, imported] of imports) closure(posix.join(posix.dirname(name), imported), sources, seen);
  return seen;
}

function artifact(contractName, file, contract, sources) {
  const { bytecode, deployedBytecode } = contract.evm;
  if (Object.keys(deployedBytecode.linkReferences ?? {}).length > 0) {
    fail(`${contractName} needs linking: make the library's functions internal`);
  }
  const imported = [...closure(file, sources)].filter((name) => name !== file).sort();
  return {
    contract: contractName,
    source: file,
    source_sha256: sha256(sources[file].content),
    imports_sha256: Object.fromEntries(imported.map((name) => [name, sha256(sources[name].content)])),
    solc: solc.version(),
    settings: { evmVersion: settings.evmVersion, optimizerRuns: settings.optimizer.runs, viaIR: false },
    abi: contract.abi,
    bytecode: `0x${bytecode.object}`,
    runtime: `0x${deployedBytecode.object}`,
    immutables: Object.values(deployedBytecode.immutableReferences ?? {}).flat(),
    storageLayout: stableLayout(contractName, contract.storageLayout),
  };
}

function main() {
  const sources = readSources();
  if (Object.keys(sources).length === 0) {
    console.log(`contracts: no .sol file in ${sourceFolder}, nothing to do`);
    return;
  }
  const output = compile(sources);
  const wanted = new Map();
  for (const file of Object.keys(sources)) {
    for (const [name, contract] of Object.entries(output.contracts?.[file] ?? {})) {
      const fileName = `${name}.json`;
      if (wanted.has(fileName)) fail(`two contracts are called ${name}`);
      wanted.set(fileName, `${JSON.stringify(artifact(name, file, contract, sources), null, 2)}\n`);
    }
  }
  mkdirSync(artifactFolder, { recursive: true });
  let differing = 0;
  for (const [fileName, text] of wanted) {
    const path = join(artifactFolder, fileName);
    if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
    differing += 1;
    console.log(`contracts: ${checkOnly ? "differs" : "wrote"} ${fileName}`);
    if (!checkOnly) writeFileSync(path, text);
  }
  const present = readdirSync(artifactFolder).filter((name) => name.endsWith(".json"));
  for (const fileName of present.filter((name) => !wanted.has(name))) {
    differing += 1;
    console.log(`contracts: ${checkOnly ? "has no source:" : "removed"} ${fileName}`);
    if (!checkOnly) unlinkSync(join(artifactFolder, fileName));
  }
  console.log(`contracts: ${wanted.size} artifact(s), ${differing} changed, solc ${solc.version()}`);
  if (checkOnly && differing > 0) fail("run `make contracts` and commit the result");
}

main();
