package main

import (
	"fmt"

	chroma "github.com/amikos-tech/chroma-go/pkg/api/v2"
	"github.com/amikos-tech/chroma-go/pkg/embeddings"
)

// Every collection names a function: without one the client fetches a model. It is deterministic, 384 numbers a text.
var function = chroma.WithEmbeddingFunctionCreate(embeddings.NewConsistentHashEmbeddingFunction())

func vectors(lists ...[]float32) []embeddings.Embedding {
	return must(embeddings.NewEmbeddingsFromFloat32(lists))
}

func metadata(values map[string]any) chroma.DocumentMetadata {
	return must(chroma.NewDocumentMetadataFromMap(values))
}

var records = []chroma.CollectionAddOption{
	chroma.WithIDs("apple", "bread", "carrot", "dates"),
	chroma.WithEmbeddings(vectors([]float32{1, 0, 0}, []float32{0, 1, 0}, []float32{0, 0, 1}, []float32{0.5, 0.5, 0})...),
	chroma.WithTexts("Apple pie", "Bread and butter", "Carrot cake", "Dates, dried"),
	chroma.WithMetadatas(
		metadata(map[string]any{"kind": "fruit", "rank": 1, "fresh": true, "tags": []string{"red", "sweet"}}),
		metadata(map[string]any{"kind": "bakery", "rank": 2, "price": 2.0}),
		metadata(map[string]any{"kind": "vegetable", "rank": 3, "fresh": true, "sizes": []int64{1, 2, 3}}),
		metadata(map[string]any{"kind": "fruit", "rank": 4, "fresh": false, "tags": []string{"brown", "sweet"}}),
	),
}

func hnswOf(collection chroma.Collection) (map[string]any, error) {
	raw, _ := collection.Configuration().GetRaw("hnsw")
	hnsw, found := raw.(map[string]any)
	if !found {
		return nil, fmt.Errorf("no hnsw configuration in %v", collection.Configuration())
	}
	return hnsw, nil
}
