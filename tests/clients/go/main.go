// Chroma's Go client against a server: go run . URL
//
// Does what the documentation's collection examples do, in databases of its own, and checks what comes back.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"sort"

	chroma "github.com/amikos-tech/chroma-go/pkg/api/v2"
	"github.com/amikos-tech/chroma-go/pkg/embeddings"
	"github.com/google/uuid"
)

var ctx = context.Background()

func server(client chroma.Client) {
	check("heartbeat", func() { ok(client.Heartbeat(ctx)) })
	check("version has three parts", func() {
		equal(regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(must(client.GetVersion(ctx))), true)
	})
	check("preflight", func() { ok(client.PreFlight(ctx)) })
	check("identity names a tenant", func() { equal(must(client.GetIdentity(ctx)).Tenant != "", true) })
}

func tenants(client chroma.Client) {
	tenant := chroma.NewTenant("tenant-" + uuid.NewString())
	documents, passing := tenant.Database("documents"), tenant.Database("passing")
	names := func() (names []string) {
		for _, database := range must(client.ListDatabases(ctx, tenant)) {
			names = append(names, database.Name())
		}
		return names
	}
	check("create and get a tenant", func() {
		must(client.CreateTenant(ctx, tenant))
		equal(must(client.GetTenant(ctx, tenant)).Name(), tenant.Name())
	})
	check("a tenant exists once", func() {
		_, err := client.CreateTenant(ctx, tenant)
		refused(err, 409, "exists")
	})
	check("missing tenant", func() {
		_, err := client.GetTenant(ctx, chroma.NewTenant("nobody"))
		refused(err, 404, "")
	})
	check("create, get, list and delete databases", func() {
		must(client.CreateDatabase(ctx, documents))
		must(client.CreateDatabase(ctx, passing))
		equal(must(client.GetDatabase(ctx, documents)).Tenant().Name(), tenant.Name())
		equal(names(), []string{"documents", "passing"})
		ok(client.DeleteDatabase(ctx, passing))
		equal(names(), []string{"documents"})
	})
	check("a database exists once", func() {
		_, err := client.CreateDatabase(ctx, documents)
		refused(err, 409, "exists")
	})
	check("missing database", func() {
		_, err := client.GetDatabase(ctx, passing)
		refused(err, 404, "")
	})
	check("use a tenant and database", func() {
		ok(client.UseDatabase(ctx, documents))
		equal(client.CurrentTenant().Name(), tenant.Name())
	})
}

func collections(client chroma.Client) {
	names := func(page ...chroma.ListCollectionsOption) (names []string) {
		for _, collection := range must(client.ListCollections(ctx, page...)) {
			names = append(names, collection.Name())
		}
		sort.Strings(names)
		return names
	}
	check("create a collection with metadata and configuration", func() {
		configuration := chroma.NewCollectionConfiguration()
		configuration.SetRaw("hnsw", map[string]any{"space": "cosine", "max_neighbors": 24})
		topic := chroma.NewMetadata(chroma.NewStringAttribute("topic", "meals"), chroma.NewIntAttribute("edition", 2))
		food := must(client.CreateCollection(ctx, "food", function, chroma.WithConfigurationCreate(configuration),
			chroma.WithCollectionMetadataCreate(topic)))
		hnsw := must(hnswOf(food))
		equal([]any{hnsw["space"], hnsw["max_neighbors"], hnsw["ef_search"]}, []any{"cosine", 24.0, 100.0})
		edition, _ := food.Metadata().GetInt("edition")
		equal(edition, int64(2))
	})
	check("create a collection with hnsw:space in its metadata", func() {
		made := must(client.CreateCollection(ctx, "one", function, chroma.WithHNSWSpaceCreate(embeddings.IP)))
		equal(must(hnswOf(made))["space"], "ip")
	})
	check("get and get_or_create return the stored collection", func() {
		food := must(client.GetCollection(ctx, "food"))
		again := must(client.GetOrCreateCollection(ctx, "food", function))
		topic, _ := again.Metadata().GetString("topic")
		equal([]string{again.ID(), topic}, []string{food.ID(), "meals"})
	})
	check("list and count collections, in pages", func() {
		must(client.CreateCollection(ctx, "two", function))
		equal(names(), []string{"food", "one", "two"})
		pages := append(names(chroma.ListWithLimit(2)), names(chroma.ListWithLimit(2), chroma.ListWithOffset(2))...)
		sort.Strings(pages)
		equal(pages, []string{"food", "one", "two"})
		equal(must(client.CountCollections(ctx)), 3)
	})
	check("modify name, metadata and configuration", func() {
		one := must(client.GetCollection(ctx, "one"))
		ok(one.ModifyName(ctx, "first"))
		ok(one.ModifyMetadata(ctx, chroma.NewMetadata(chroma.NewBoolAttribute("seen", true))))
		ok(one.ModifyConfiguration(ctx, chroma.NewUpdateCollectionConfiguration(chroma.WithHNSWEfSearchModify(50))))
		first := must(client.GetCollection(ctx, "first"))
		seen, _ := first.Metadata().GetBool("seen")
		equal([]any{first.ID(), seen, must(hnswOf(first))["ef_search"]}, []any{one.ID(), true, 50.0})
	})
	check("delete a collection", func() {
		ok(client.DeleteCollection(ctx, "two"))
		equal(names(), []string{"first", "food"})
	})
	check("missing collection", func() {
		_, err := client.GetCollection(ctx, "absent")
		refused(err, 404, "does not exist")
		refused(client.DeleteCollection(ctx, "absent"), 404, "does not exist")
	})
	check("a collection exists once", func() {
		_, err := client.CreateCollection(ctx, "food", function)
		refused(err, 409, "already exists")
	})
	check("bad name", func() {
		_, err := client.CreateCollection(ctx, "a!", function)
		refused(err, 400, "name")
	})
}

func reading(food chroma.Collection) {
	get := func(wanted chroma.DocumentIDs, options ...chroma.CollectionGetOption) {
		equal(must(food.Get(ctx, options...)).GetIDs(), wanted)
	}
	check("add and count", func() {
		ok(food.Add(ctx, records...))
		equal(must(food.Count(ctx)), 4)
	})
	check("get gives back what was added", func() {
		all := must(food.Get(ctx, chroma.WithInclude(chroma.IncludeDocuments, chroma.IncludeMetadatas, chroma.IncludeEmbeddings)))
		equal(all.GetIDs(), chroma.DocumentIDs{"apple", "bread", "carrot", "dates"})
		equal(all.GetDocuments()[1].ContentString(), "Bread and butter")
		equal(all.GetEmbeddings()[2].ContentAsFloat32(), []float32{0, 0, 1})
		tags, _ := all.GetMetadatas()[3].GetStringArray("tags")
		price, isFloat := all.GetMetadatas()[1].GetFloat("price")
		equal([]any{tags, price, isFloat}, []any{[]string{"brown", "sweet"}, 2.0, true})
	})
	check("get by ids, limit and offset", func() {
		get(chroma.DocumentIDs{"apple", "dates"}, chroma.WithIDs("dates", "apple", "nothing"))
		get(chroma.DocumentIDs{"bread", "carrot"}, chroma.WithLimit(2), chroma.WithOffset(1))
	})
	check("get where: comparison, membership, logic", func() {
		get(chroma.DocumentIDs{"apple", "dates"}, chroma.WithWhere(chroma.EqString("kind", "fruit")))
		get(chroma.DocumentIDs{"carrot", "dates"}, chroma.WithWhere(chroma.GteInt("rank", 3)))
		get(chroma.DocumentIDs{"bread", "carrot"}, chroma.WithWhere(chroma.NinString("kind", "fruit")))
		get(chroma.DocumentIDs{"bread", "dates"}, chroma.WithWhere(chroma.NotEqBool("fresh", true)))
		get(chroma.DocumentIDs{"apple"}, chroma.WithWhere(chroma.And(chroma.EqBool("fresh", true), chroma.LtInt("rank", 3))))
		get(chroma.DocumentIDs{"apple", "bread"}, chroma.WithWhere(chroma.Or(chroma.EqFloat("price", 2), chroma.EqInt("rank", 1))))
	})
	check("get where: arrays", func() {
		get(chroma.DocumentIDs{"apple", "dates"}, chroma.WithWhere(chroma.MetadataContainsString("tags", "sweet")))
		get(chroma.DocumentIDs{"carrot"}, chroma.WithWhere(chroma.MetadataContainsInt("sizes", 2)))
	})
	check("get where_document", func() {
		get(chroma.DocumentIDs{"apple"}, chroma.WithWhereDocument(chroma.Contains("pie")))
		get(chroma.DocumentIDs{"apple", "bread"}, chroma.WithWhereDocument(chroma.Regex("^[AB]")))
		get(chroma.DocumentIDs{"carrot"}, chroma.WithWhere(chroma.EqInt("rank", 3)),
			chroma.WithWhereDocument(chroma.OrDocument(chroma.Contains("cake"), chroma.Contains("pie"))))
	})
	check("query: nearest first, with distances", func() {
		found := must(food.Query(ctx, chroma.WithQueryEmbeddings(vectors([]float32{2, 0, 0}, []float32{0, 0, 1})...), chroma.WithNResults(2)))
		equal(found.GetIDGroups()[0], chroma.DocumentIDs{"apple", "dates"})
		equal(found.GetIDGroups()[1][0], chroma.DocumentID("carrot"))
		equal(found.GetDocumentsGroups()[0][1].ContentString(), "Dates, dried")
		equal(math.Abs(float64(found.GetDistancesGroups()[0][1])-(1-math.Sqrt2/2)) < 1e-5, true)
	})
	check("query with filters, ids and include", func() {
		query := func(wanted chroma.DocumentIDs, options ...chroma.CollectionQueryOption) {
			options = append(options, chroma.WithQueryEmbeddings(vectors([]float32{1, 0, 0})...), chroma.WithInclude(chroma.IncludeURIs))
			equal(must(food.Query(ctx, options...)).GetIDGroups(), []chroma.DocumentIDs{wanted})
		}
		query(chroma.DocumentIDs{"apple", "dates"}, chroma.WithWhere(chroma.EqString("kind", "fruit")))
		query(chroma.DocumentIDs{"carrot"}, chroma.WithWhereDocument(chroma.Contains("cake")), chroma.WithNResults(1))
		query(chroma.DocumentIDs{"dates", "carrot"}, chroma.WithIDs("dates", "carrot"))
	})
}

func writing(food chroma.Collection) {
	document := func(id chroma.DocumentID) string {
		return must(food.Get(ctx, chroma.WithIDs(id))).GetDocuments()[0].ContentString()
	}
	check("update merges metadata", func() {
		rank := chroma.NewDocumentMetadata(chroma.NewIntAttribute("rank", 10), chroma.RemoveAttribute("fresh"))
		ok(food.Update(ctx, chroma.WithIDs("apple"), chroma.WithMetadatas(rank), chroma.WithEmbeddings(vectors([]float32{1, 1, 0})...)))
		apple := must(food.Get(ctx, chroma.WithIDs("apple"))).GetMetadatas()[0]
		number, _ := apple.GetInt("rank")
		kind, _ := apple.GetString("kind")
		_, fresh := apple.GetBool("fresh")
		equal([]any{number, kind, fresh, document("apple")}, []any{int64(10), "fruit", false, "Apple pie"})
	})
	check("upsert inserts and updates", func() {
		ok(food.Upsert(ctx, chroma.WithIDs("apple", "egg"), chroma.WithTexts("Apple tart", "Egg"),
			chroma.WithEmbeddings(vectors([]float32{0, 1, 1}, []float32{1, 1, 1})...)))
		equal([]any{document("apple"), must(food.Count(ctx))}, []any{"Apple tart", 5})
	})
	check("delete by ids and by filters", func() {
		ok(food.Delete(ctx, chroma.WithIDs("egg")))
		ok(food.Delete(ctx, chroma.WithWhere(chroma.EqInt("rank", 10))))
		ok(food.Delete(ctx, chroma.WithWhereDocument(chroma.Contains("cake"))))
		equal(must(food.Get(ctx)).GetIDs(), chroma.DocumentIDs{"bread", "dates"})
	})
}

func refusals(client chroma.Client, food chroma.Collection) {
	check("wrong dimension", func() {
		pair := vectors([]float32{1, 2})
		refused(food.Add(ctx, chroma.WithIDs("x"), chroma.WithEmbeddings(pair...)), 400, "dimension")
		_, err := food.Query(ctx, chroma.WithQueryEmbeddings(pair...))
		refused(err, 400, "dimension")
	})
	check("bad filter", func() {
		_, err := food.Get(ctx, chroma.WithWhereDocument(chroma.Regex("(")))
		refused(err, 400, "")
	})
	check("texts are embedded by the function that the collection names", func() {
		first := must(client.GetCollection(ctx, "first"))
		ok(first.Add(ctx, chroma.WithIDs("a", "b"), chroma.WithTexts("alpha", "beta")))
		equal(must(first.Query(ctx, chroma.WithQueryTexts("beta"))).CountGroups(), 1)
		equal(must(client.GetCollection(ctx, "first")).Dimension(), 384)
	})
	check("a handle of a deleted collection", func() {
		ok(client.DeleteCollection(ctx, "food"))
		_, err := food.Get(ctx)
		refused(err, 404, "does not exist")
	})
}

func main() {
	url := "http://127.0.0.1:8000"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	client := must(chroma.NewHTTPClient(chroma.WithBaseURL(url)))
	server(client)
	tenants(client)
	collections(client)
	food := must(client.GetCollection(ctx, "food"))
	reading(food)
	writing(food)
	refusals(client, food)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
