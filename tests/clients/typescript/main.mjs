// Chroma's TypeScript client against a server: node main.mjs URL
//
// Does what the documentation's collection examples do, in databases of its own, and checks what comes back.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { AdminClient, ChromaClient, registerEmbeddingFunction } from "chromadb";

const url = new URL(process.argv[2] ?? "http://127.0.0.1:8000");
const address = { host: url.hostname, port: Number(url.port), ssl: url.protocol === "https:" };
const tenant = `tenant-${randomUUID()}`;
const database = "documents";
const admin = new AdminClient(address);
const client = new ChromaClient({ ...address, tenant, database });

// A deterministic embedding function: how often a, b and c occur.
class Letters {
  name = "letters";

  async generate(texts) {
    return texts.map((text) => [..."abc"].map((letter) => text.split(letter).length - 1));
  }

  getConfig() {
    return {};
  }

  static buildFromConfig() {
    return new Letters();
  }
}
registerEmbeddingFunction("letters", Letters);

let passed = 0;
let failed = 0;

async function check(what, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${what}: ${error.stack ?? error}`);
  }
}

const fails = (promise, name, message = /./) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.name, name);
    assert.match(error.message, message);
    return true;
  });

const close = (given, wanted) =>
  given.forEach((value, place) => assert.ok(Math.abs(value - wanted[place]) < 1e-5, `${given} is not ${wanted}`));

const records = {
  ids: ["apple", "bread", "carrot", "dates"],
  embeddings: [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]],
  documents: ["Apple pie", "Bread and butter", "Carrot cake", "Dates, dried"],
  metadatas: [
    { kind: "fruit", rank: 1, fresh: true, tags: ["red", "sweet"] },
    { kind: "bakery", rank: 2, price: 2.5 },
    { kind: "vegetable", rank: 3, fresh: true, sizes: [1, 2, 3] },
    { kind: "fruit", rank: 4, fresh: false, tags: ["brown", "sweet"] },
  ],
  uris: ["a", "b", "c", "d"].map((name) => `file:///${name}.txt`),
};


async function server() {
  await check("heartbeat is the time in nanoseconds", async () => assert.ok((await client.heartbeat()) > 1e18));
  await check("version has three parts", async () => assert.match(await client.version(), /^\d+\.\d+\.\d+/));
  await check("preflight tells the largest batch", async () => assert.ok((await client.getMaxBatchSize()) > 0));
  await check("identity names a tenant", async () => assert.ok((await client.getUserIdentity()).tenant));
}

async function tenants() {
  await check("create and get a tenant", async () => {
    await admin.createTenant({ name: tenant });
    assert.equal(await admin.getTenant({ name: tenant }), tenant);
  });
  await check("a tenant exists once", () => fails(admin.createTenant({ name: tenant }), "ChromaUniqueError"));
  await check("missing tenant", () => fails(admin.getTenant({ name: "nobody" }), "ChromaNotFoundError"));
  await check("create, get, list and delete databases", async () => {
    await admin.createDatabase({ name: database, tenant });
    await admin.createDatabase({ name: "passing", tenant });
    const found = await admin.getDatabase({ name: database, tenant });
    assert.deepEqual([found.name, found.tenant], [database, tenant]);
    const names = async () => (await admin.listDatabases({ tenant })).map(({ name }) => name);
    assert.deepEqual(await names(), [database, "passing"]);
    await admin.deleteDatabase({ name: "passing", tenant });
    assert.deepEqual(await names(), [database]);
  });
  await check("a database exists once", () => fails(admin.createDatabase({ name: database, tenant }), "ChromaUniqueError"));
  await check("missing database", () => fails(admin.getDatabase({ name: "passing", tenant }), "ChromaNotFoundError"));
}

async function collections() {
  const plain = { embeddingFunction: null };
  await check("create a collection with metadata and configuration", async () => {
    const made = await client.createCollection({
      name: "food", metadata: { topic: "meals", edition: 2 }, ...plain,
      configuration: { hnsw: { space: "cosine", ef_construction: 120, max_neighbors: 24 } },
    });
    assert.deepEqual([made.tenant, made.database, made.name], [tenant, database, "food"]);
    assert.deepEqual(made.metadata, { topic: "meals", edition: 2 });
    const { space, ef_construction, ef_search, max_neighbors } = made.configuration.hnsw;
    assert.deepEqual([space, ef_construction, ef_search, max_neighbors], ["cosine", 120, 100, 24]);
  });
  await check("get a collection by name and by id", async () => {
    const named = await client.getCollection({ name: "food" });
    assert.equal((await client.getCollectionById(named.id)).name, "food");
  });
  await check("get_or_create returns the stored collection", async () => {
    const again = await client.getOrCreateCollection({ name: "food", metadata: { topic: "other" }, ...plain });
    assert.deepEqual(again.metadata, { topic: "meals", edition: 2 });
  });
  await check("list and count collections, in pages", async () => {
    for (const name of ["one", "two"]) await client.createCollection({ name, ...plain });
    const names = async (page) => (await client.listCollections(page)).map(({ name }) => name);
    assert.deepEqual((await names()).sort(), ["food", "one", "two"]);
    const pages = [...(await names({ limit: 2 })), ...(await names({ limit: 2, offset: 2 }))];
    assert.deepEqual(pages.sort(), ["food", "one", "two"]);
    assert.equal(await client.countCollections(), 3);
  });
  await check("modify name, metadata and configuration", async () => {
    const one = await client.getCollection({ name: "one" });
    await one.modify({ name: "first", metadata: { seen: true }, configuration: { hnsw: { ef_search: 50 } } });
    const first = await client.getCollection({ name: "first" });
    assert.deepEqual([first.id, first.metadata, first.configuration.hnsw.ef_search], [one.id, { seen: true }, 50]);
    await fails(client.getCollection({ name: "one" }), "ChromaNotFoundError");
  });
  await check("delete a collection", async () => {
    await client.deleteCollection({ name: "two" });
    assert.equal(await client.countCollections(), 2);
  });
  await check("missing collection", async () => {
    await fails(client.getCollection({ name: "absent" }), "ChromaNotFoundError");
    await fails(client.deleteCollection({ name: "absent" }), "ChromaNotFoundError");
  });
  await check("a collection exists once", () => fails(client.createCollection({ name: "food", ...plain }), "ChromaUniqueError"));
  await check("bad name", () => fails(client.createCollection({ name: "a!", ...plain }), "ChromaClientError", /name/));
}

async function reading(food) {
  const ids = async (args) => (await food.get(args)).ids;
  await check("add and count", async () => {
    await food.add(records);
    assert.equal(await food.count(), 4);
    assert.equal(await food.count({ readLevel: "index_and_wal" }), 4);
  });
  await check("get gives back what was added", async () => {
    const all = await food.get({ include: ["documents", "metadatas", "embeddings", "uris"] });
    assert.deepEqual(
      { ids: all.ids, documents: all.documents, metadatas: all.metadatas, uris: all.uris },
      { ids: records.ids, documents: records.documents, metadatas: records.metadatas, uris: records.uris },
    );
    assert.equal(all.embeddings.length, 4);
    close(all.embeddings[0], [1, 0, 0]);
  });
  await check("get by ids, limit and offset", async () => {
    assert.deepEqual(await ids({ ids: ["dates", "apple", "nothing"] }), ["apple", "dates"]);
    assert.deepEqual(await ids({ limit: 2, offset: 1 }), ["bread", "carrot"]);
    assert.deepEqual(await ids({ offset: 9 }), []);
  });
  await check("get where: comparison, membership, logic", async () => {
    assert.deepEqual(await ids({ where: { kind: "fruit" } }), ["apple", "dates"]);
    assert.deepEqual(await ids({ where: { rank: { $gte: 3 } } }), ["carrot", "dates"]);
    assert.deepEqual(await ids({ where: { kind: { $in: ["bakery", "vegetable"] } } }), ["bread", "carrot"]);
    assert.deepEqual(await ids({ where: { kind: { $nin: ["fruit"] } } }), ["bread", "carrot"]);
    assert.deepEqual(await ids({ where: { fresh: { $ne: true } } }), ["bread", "dates"]);
    assert.deepEqual(await ids({ where: { $and: [{ fresh: true }, { rank: { $lt: 3 } }] } }), ["apple"]);
    assert.deepEqual(await ids({ where: { $or: [{ price: 2.5 }, { rank: 1 }] } }), ["apple", "bread"]);
  });
  await check("get where: arrays", async () => {
    assert.deepEqual(await ids({ where: { tags: { $contains: "sweet" } } }), ["apple", "dates"]);
    assert.deepEqual(await ids({ where: { sizes: { $contains: 2 } } }), ["carrot"]);
    assert.deepEqual(await ids({ where: { tags: { $not_contains: "red" } } }), ["bread", "carrot", "dates"]);
  });
  await check("get where_document", async () => {
    assert.deepEqual(await ids({ whereDocument: { $contains: "pie" } }), ["apple"]);
    assert.deepEqual(await ids({ whereDocument: { $not_contains: "a" } }), ["apple"]);
    assert.deepEqual(await ids({ whereDocument: { $regex: "^[AB]" } }), ["apple", "bread"]);
    assert.deepEqual(await ids({ where: { rank: 3 }, whereDocument: { $or: [{ $contains: "cake" }, { $contains: "pie" }] } }), ["carrot"]);
  });
  await check("peek", async () => assert.deepEqual((await food.peek({ limit: 3 })).ids, ["apple", "bread", "carrot"]));
  await check("query: nearest first, with distances", async () => {
    const found = await food.query({ queryEmbeddings: [[2, 0, 0], [0, 0, 1]], nResults: 2 });
    assert.deepEqual(found.ids[0], ["apple", "dates"]);
    assert.equal(found.ids[1][0], "carrot");
    close(found.distances[0], [0, 1 - Math.SQRT1_2]);
    assert.deepEqual(found.documents[0], ["Apple pie", "Dates, dried"]);
    assert.deepEqual(found.metadatas[0][0], records.metadatas[0]);
  });
  await check("query with filters, ids and include", async () => {
    const query = async (args) => (await food.query({ queryEmbeddings: [[1, 0, 0]], ...args })).ids[0];
    assert.deepEqual(await query({ where: { kind: "fruit" } }), ["apple", "dates"]);
    assert.deepEqual(await query({ whereDocument: { $contains: "r" }, nResults: 1, where: { rank: 3 } }), ["carrot"]);
    assert.deepEqual(await query({ ids: ["dates", "carrot"] }), ["dates", "carrot"]);
    const bare = await food.query({ queryEmbeddings: [[1, 0, 0]], nResults: 1, include: ["uris", "embeddings"] });
    assert.deepEqual([bare.uris, bare.documents, bare.distances], [[["file:///a.txt"]], [], []]);
    close(bare.embeddings[0][0], [1, 0, 0]);
  });
}

async function writing(food) {
  const row = async (id) => (await food.get({ ids: [id], include: ["documents", "metadatas", "uris"] })).rows()[0];
  await check("adding an id again changes nothing", async () => {
    await food.add({ ids: ["apple"], embeddings: [[0, 0, 9]], documents: ["Other"] });
    assert.equal((await row("apple")).document, "Apple pie");
  });
  await check("update merges metadata and keeps the rest", async () => {
    await food.update({ ids: ["apple", "absent"], metadatas: [{ rank: 10 }, { rank: 11 }], uris: ["file:///z.txt", "file:///y.txt"] });
    const { document, metadata, uri } = await row("apple");
    assert.deepEqual([document, metadata, uri], ["Apple pie", { ...records.metadatas[0], rank: 10 }, "file:///z.txt"]);
    assert.equal(await food.count(), 4);
  });
  await check("upsert inserts and updates", async () => {
    await food.upsert({ ids: ["apple", "egg"], embeddings: [[0, 1, 1], [1, 1, 1]], documents: ["Apple tart", "Egg"] });
    assert.equal((await row("apple")).document, "Apple tart");
    assert.equal((await row("egg")).metadata, null);
    assert.equal(await food.count(), 5);
  });
  await check("delete by ids, by filter and with a limit", async () => {
    assert.equal((await food.delete({ ids: ["egg"] })).deleted, 1);
    assert.equal((await food.delete({ where: { kind: "fruit" }, limit: 1 })).deleted, 1);
    assert.equal((await food.delete({ whereDocument: { $contains: "cake" } })).deleted, 1);
    assert.deepEqual((await food.get()).ids, ["bread", "dates"]);
  });
}

async function refusals(food) {
  await check("wrong dimension", async () => {
    await fails(food.add({ ids: ["x"], embeddings: [[1, 2]] }), "ChromaClientError", /dimension/);
    await fails(food.query({ queryEmbeddings: [[1, 2]] }), "ChromaClientError", /dimension/);
  });
  await check("bad filter", () => fails(food.get({ whereDocument: { $regex: "(" } }), "ChromaClientError"));
  await check("bad filter, stopped by the client", () => fails(food.get({ where: { rank: { $gt: "x" } } }), "ChromaValueError"));
  await check("a handle of a deleted collection", async () => {
    await client.deleteCollection({ name: "food" });
    await fails(food.get(), "ChromaNotFoundError");
    await fails(food.add({ ids: ["x"], embeddings: [[1, 0, 0]] }), "ChromaNotFoundError");
  });
}

async function embedding() {
  await check("texts are embedded by the function that the collection names", async () => {
    const made = await client.createCollection({ name: "spelled", embeddingFunction: new Letters() });
    assert.deepEqual(made.configuration.embedding_function, { type: "known", name: "letters", config: {} });
    const spelled = await client.getCollection({ name: "spelled" });
    await spelled.add({ ids: ["a", "b"], documents: ["aaa", "bbb"] });
    const found = await spelled.query({ queryTexts: ["aa"], nResults: 1 });
    assert.deepEqual([found.ids, found.distances], [[["a"]], [[1]]]);
  });
}

await server();
await tenants();
await collections();
const food = await client.getCollection({ name: "food" });
await reading(food);
await writing(food);
await refusals(food);
await embedding();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
