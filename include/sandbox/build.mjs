// Compiles contracts/*.sol into artifacts/*.json.
//
//   node include/sandbox/build.mjs            writes the artifacts
//   node include/sandbox/build.mjs --check    compiles again and exits with 1 if what is committed differs
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const here = dirname(fileURLToPath(import.meta.url));
const sourceFolder = join(here, "contracts");
const artifactFolder = join(here, "artifacts");

// No metadata in the code: the same source gives the same bytes, whatever its path or comments.
const settings = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 200 },
  metadata: { appendCBOR: false, bytecodeHash: "none" },
};

function compile() {
  const sources = {};
  for (const name of readdirSync(sourceFolder).filter((file) => file.endsWith(".sol")).sort()) {
    sources[name] = { content: readFileSync(join(sourceFolder, name), "utf8") };
  }
  const outputSelection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } };
  const input = { language: "Solidity", sources, settings: { ...settings, outputSelection } };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const problems = output.errors ?? [];
  if (problems.length > 0) {
    console.error(problems.map((problem) => problem.formattedMessage).join("\n"));
    process.exit(1);
  }
  return output.contracts;
}

// Only what can be deployed becomes an artifact; interfaces and abstract contracts have no code.
function artifacts() {
  const files = new Map();
  for (const contracts of Object.values(compile())) {
    for (const [name, contract] of Object.entries(contracts)) {
      if (contract.evm.bytecode.object === "") continue;
      const artifact = {
        contractName: name,
        compiler: { name: "solc", version: solc.version(), settings },
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
      };
      files.set(`${name}.json`, `${JSON.stringify(artifact, null, 1)}\n`);
    }
  }
  return files;
}

function committed() {
  return existsSync(artifactFolder) ? readdirSync(artifactFolder).filter((file) => file.endsWith(".json")) : [];
}

function differences(built) {
  const found = [];
  for (const [file, text] of built) {
    const path = join(artifactFolder, file);
    if (!existsSync(path)) {
      found.push(`${file}: missing`);
      continue;
    }
    const present = readFileSync(path, "utf8");
    if (present === text) continue;
    const [old, fresh] = [JSON.parse(present), JSON.parse(text)];
    const keys = Object.keys(fresh).filter((key) => JSON.stringify(old[key]) !== JSON.stringify(fresh[key]));
    found.push(`${file}: differs in ${keys.join(", ") || "formatting"}`);
  }
  for (const file of committed()) if (!built.has(file)) found.push(`${file}: has no source`);
  return found;
}

const built = artifacts();
if (process.argv.includes("--check")) {
  const found = differences(built);
  if (found.length > 0) {
    console.error(`The artifacts are not what the sources compile to:\n  ${found.join("\n  ")}`);
    console.error("Run: npm run build");
    process.exit(1);
  }
  console.log(`${built.size} artifacts are up to date`);
} else {
  mkdirSync(artifactFolder, { recursive: true });
  for (const file of committed()) if (!built.has(file)) rmSync(join(artifactFolder, file));
  for (const [file, text] of built) writeFileSync(join(artifactFolder, file), text);
  console.log(`wrote ${[...built.keys()].join(", ")}`);
}
