//! Chroma's Rust client against a server: `client URL`
//!
//! Does what the documentation's collection examples do, in a database of its own, and checks what comes back.
//! The crate has no calls for tenants and versions, so there are no checks of them here.

mod check;

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use chroma::client::ChromaHttpClientError;
use chroma::types::{
    Include, IncludeList, Key, Metadata, MetadataValue, Schema, Space, UpdateMetadata, UpdateMetadataValue, Where,
};
use chroma::{ChromaCollection, ChromaHttpClient, ChromaHttpClientOptions};

use check::{equal, refused, Checks, Outcome};

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn some(words: &[&str]) -> Option<Vec<Option<String>>> {
    Some(strings(words).into_iter().map(Some).collect())
}

fn metadata<const N: usize>(pairs: [(&str, MetadataValue); N]) -> Metadata {
    pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

fn metadatas() -> Vec<Option<Metadata>> {
    let tags = |first: &str| MetadataValue::from(vec![first, "sweet"]);
    vec![
        Some(metadata([("kind", "fruit".into()), ("rank", 1.into()), ("fresh", true.into()), ("tags", tags("red"))])),
        Some(metadata([("kind", "bakery".into()), ("rank", 2.into()), ("price", 2.0.into())])),
        Some(metadata([("kind", "vegetable".into()), ("rank", 3.into()), ("sizes", vec![1_i64, 2, 3].into())])),
        Some(metadata([("rank", 4.into()), ("fresh", false.into())])),
    ]
}

async fn server(checks: &mut Checks, client: &ChromaHttpClient) {
    check!(checks, "heartbeat is the time in nanoseconds", {
        equal(client.heartbeat().await?.nanosecond_heartbeat > 1_000_000_000_000_000_000, true)
    });
    check!(checks, "identity names a tenant", { equal(client.get_auth_identity().await?.tenant.is_empty(), false) });
}

async fn databases(checks: &mut Checks, client: &ChromaHttpClient, name: &str) {
    check!(checks, "create, list and delete databases", {
        let passing = format!("{name}-passing");
        client.create_database(name).await?;
        client.create_database(&passing).await?;
        let found = client.list_databases().await?;
        equal(found.iter().filter(|one| one.name.starts_with(name)).count(), 2)?;
        client.delete_database(&passing).await?;
        refused(client.delete_database(&passing).await, 404, "NotFoundError")
    });
    check!(checks, "a database exists once", { refused(client.create_database(name).await, 409, "exists") });
    client.set_database_name(name);
}

async fn collections(checks: &mut Checks, client: &ChromaHttpClient) {
    check!(checks, "create a collection with metadata and configuration", {
        let meals = metadata([("topic", "meals".into()), ("hnsw:space", "cosine".into()), ("hnsw:M", 24.into())]);
        let food = client.create_collection("food", None, Some(meals.clone())).await?;
        equal(food.metadata().as_ref(), Some(&meals))?;
        let hnsw = food.schema().as_ref().and_then(Schema::get_internal_hnsw_config).ok_or("no hnsw")?;
        equal((hnsw.space, hnsw.max_neighbors, hnsw.ef_search), (Space::Cosine, 24, 100))
    });
    check!(checks, "a schema sent back creates the same collection", {
        let food = client.get_collection("food").await?;
        let one = client.create_collection("one", food.schema().clone(), None).await?;
        equal(one.schema(), food.schema())
    });
    check!(checks, "get a collection by name and by id, get_or_create returns it", {
        let food = client.get_collection("food").await?;
        equal(client.get_collection_by_id(food.id().to_string()).await?.name(), "food")?;
        let again = client.get_or_create_collection("food", None, Some(metadata([("topic", "other".into())]))).await?;
        equal((again.id(), again.metadata()), (food.id(), food.metadata()))
    });
    check!(checks, "list and count collections, in pages", {
        client.create_collection("two", None, None).await?;
        let mut names = Vec::new();
        for offset in [0, 2] {
            names.extend(client.list_collections(2, Some(offset)).await?.iter().map(|one| one.name().to_string()));
        }
        names.sort();
        equal((names, client.count_collections().await?), (strings(&["food", "one", "two"]), 3))
    });
    check!(checks, "modify name and metadata", {
        let mut one = client.get_collection("one").await?;
        one.modify(Some("first"), Some(metadata([("seen", true.into())]))).await?;
        let first = client.get_collection("first").await?;
        equal((first.id(), first.metadata().clone()), (one.id(), Some(metadata([("seen", true.into())]))))
    });
    check!(checks, "delete a collection", {
        client.delete_collection("two").await?;
        equal(client.count_collections().await?, 2)
    });
    check!(checks, "missing collection", {
        refused(client.get_collection("absent").await, 404, "does not exist")?;
        refused(client.delete_collection("absent").await, 404, "does not exist")
    });
    check!(checks, "a collection exists once", {
        refused(client.create_collection("food", None, None).await, 409, "already exists")
    });
    check!(checks, "bad name", { refused(client.create_collection("a!", None, None).await, 400, "name") });
}

async fn ids(food: &ChromaCollection, filter: Where) -> Result<Vec<String>, ChromaHttpClientError> {
    Ok(food.get(None, Some(filter), None, None, Some(IncludeList::empty())).await?.ids)
}

async fn reading(checks: &mut Checks, food: &ChromaCollection) {
    let names = ["apple", "bread", "carrot", "dates"];
    let vectors = vec![vec![1., 0., 0.], vec![0., 1., 0.], vec![0., 0., 1.], vec![0.5, 0.5, 0.]];
    let documents = some(&["Apple pie", "Bread and butter", "Carrot cake", "Dates, dried"]);
    let uris = some(&["file:///a", "file:///b", "file:///c", "file:///d"]);
    check!(checks, "add and count", {
        food.add(strings(&names), vectors.clone(), documents.clone(), uris.clone(), Some(metadatas())).await?;
        equal(food.count().await?, 4)
    });
    check!(checks, "get gives back what was added", {
        let all = food.get(None, None, None, None, Some(IncludeList::all())).await?;
        equal(
            (all.ids, all.documents, all.uris, all.metadatas),
            (strings(&names), documents, uris, Some(metadatas())),
        )?;
        equal(all.embeddings.map(|found| found[..3].to_vec()), Some(vectors[..3].to_vec()))
    });
    check!(checks, "get by ids, limit and offset", {
        let picked = food.get(Some(strings(&["dates", "apple", "nothing"])), None, None, None, None).await?;
        equal(picked.ids, ["apple", "dates"])?;
        equal(food.get(None, None, Some(2), Some(1), None).await?.ids, ["bread", "carrot"])
    });
    check!(checks, "get where: comparison, membership, logic", {
        let (kind, rank) = (|| Key::field("kind"), || Key::field("rank"));
        equal(ids(food, kind().eq("fruit")).await?, ["apple"])?;
        equal(ids(food, kind().ne("fruit")).await?, ["bread", "carrot", "dates"])?;
        equal(ids(food, rank().gte(3)).await?, ["carrot", "dates"])?;
        equal(ids(food, kind().is_in(vec!["fruit", "bakery"])).await?, ["apple", "bread"])?;
        equal(ids(food, kind().not_in(vec!["fruit", "bakery"])).await?, ["carrot", "dates"])?;
        equal(ids(food, Key::field("price").eq(2.0) | (kind().eq("fruit") & rank().lt(2))).await?, ["apple", "bread"])
    });
    check!(checks, "get where: arrays and documents", {
        equal(ids(food, Key::field("tags").contains_value("sweet")).await?, ["apple"])?;
        equal(ids(food, Key::field("sizes").contains_value(2)).await?, ["carrot"])?;
        equal(ids(food, Key::Document.contains("pie")).await?, ["apple"])?;
        equal(ids(food, Key::Document.regex("^[AB]") & Key::field("rank").gt(1)).await?, ["bread"])
    });
    check!(checks, "query: nearest first, with distances", {
        let found = food.query(vec![vec![2., 0., 0.], vec![0., 0., 1.]], Some(2), None, None, None).await?;
        equal((&found.ids[0], &found.ids[1][0]), (&strings(&["apple", "dates"]), &"carrot".to_string()))?;
        let distances = found.distances.ok_or("no distances")?;
        equal(distances[0][1].is_some_and(|far| (far - 0.29289323).abs() < 1e-5), true)
    });
    check!(checks, "query with filters, ids and include", {
        let include = || Some(IncludeList(vec![Include::Uri]));
        let near = || vec![vec![1., 0., 0.]];
        let found = food.query(near(), None, Some(Key::field("rank").eq(3)), None, include()).await?;
        equal(
            (found.ids, found.uris, found.documents),
            (vec![strings(&["carrot"])], Some(vec![some(&["file:///c"]).unwrap()]), None),
        )?;
        let found = food.query(near(), None, None, Some(strings(&["dates", "carrot"])), include()).await?;
        equal(found.ids, [["dates", "carrot"]])
    });
}

async fn writing(checks: &mut Checks, food: &ChromaCollection) {
    check!(checks, "update merges metadata, and null removes a key", {
        let change: UpdateMetadata =
            HashMap::from([("rank".into(), 10.into()), ("fresh".into(), UpdateMetadataValue::None)]);
        food.update(strings(&["apple"]), None, None, None, Some(vec![Some(change)])).await?;
        let apple = food.get(Some(strings(&["apple"])), None, None, None, None).await?;
        let tags = MetadataValue::from(vec!["red", "sweet"]);
        let wanted = metadata([("kind", "fruit".into()), ("rank", 10.into()), ("tags", tags)]);
        equal((apple.documents, apple.metadatas), (some(&["Apple pie"]), Some(vec![Some(wanted)])))
    });
    check!(checks, "upsert inserts and updates", {
        let documents = some(&["Apple tart", "Egg"]);
        food.upsert(
            strings(&["apple", "egg"]),
            vec![vec![0., 1., 1.], vec![1., 1., 1.]],
            documents.clone(),
            None,
            None,
        )
        .await?;
        let both = food.get(Some(strings(&["apple", "egg"])), None, None, None, None).await?;
        equal((both.documents, food.count().await?), (documents, 5))
    });
    check!(checks, "delete by ids, by filter and with a limit", {
        equal(food.delete(Some(strings(&["egg"])), None, None).await?.deleted, 1)?;
        equal(food.delete(None, Some(Key::field("rank").gte(1)), Some(1)).await?.deleted, 1)?;
        equal(food.delete(None, Some(Key::Document.contains("cake")), None).await?.deleted, 1)?;
        equal(food.get(None, None, None, None, None).await?.ids, ["bread", "dates"])
    });
}

async fn refusals(checks: &mut Checks, client: &ChromaHttpClient, food: &ChromaCollection) {
    check!(checks, "wrong dimension", {
        refused(food.add(strings(&["x"]), vec![vec![1., 2.]], None, None, None).await, 400, "dimension")?;
        refused(food.query(vec![vec![1., 2.]], None, None, None, None).await, 400, "dimension")
    });
    check!(checks, "bad filter", { refused(ids(food, Key::Document.eq("pie")).await, 400, "InvalidArgumentError") });
    check!(checks, "a handle of a deleted collection", {
        client.delete_collection("food").await?;
        refused(food.count().await, 404, "does not exist")
    });
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let url = std::env::args().nth(1).unwrap_or("http://127.0.0.1:8000".into());
    let client = ChromaHttpClient::new(ChromaHttpClientOptions {
        endpoint: url.parse()?,
        tenant_id: Some("default_tenant".into()),
        ..Default::default()
    });
    let database = format!("rust-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
    let mut checks = Checks::default();
    server(&mut checks, &client).await;
    databases(&mut checks, &client, &database).await;
    collections(&mut checks, &client).await;
    let food = client.get_collection("food").await?;
    reading(&mut checks, &food).await;
    writing(&mut checks, &food).await;
    refusals(&mut checks, &client, &food).await;
    client.delete_database(&database).await?;
    println!("{} passed, {} failed", checks.passed, checks.failed);
    std::process::exit(i32::from(checks.failed > 0));
}
