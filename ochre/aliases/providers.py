"""What Chroma's modules of embedding functions hold, one a provider. None is supported yet."""

from __future__ import annotations

from ochre.aliases.unsupported import unsupported

MODULES = {
    "amazon_bedrock_embedding_function": ["AmazonBedrockEmbeddingFunction"],
    "baseten_embedding_function": ["BasetenEmbeddingFunction"],
    "bm25_embedding_function": ["Bm25EmbeddingFunction"],
    "chroma_bm25_embedding_function": ["ChromaBm25EmbeddingFunction"],
    "chroma_cloud_qwen_embedding_function": ["ChromaCloudQwenEmbeddingFunction"],
    "chroma_cloud_splade_embedding_function": ["ChromaCloudSpladeEmbeddingFunction"],
    "chroma_langchain_embedding_function": ["ChromaLangchainEmbeddingFunction", "create_langchain_embedding"],
    "cloudflare_workers_ai_embedding_function": ["CloudflareWorkersAIEmbeddingFunction"],
    "cohere_embedding_function": ["CohereEmbeddingFunction"],
    "fastembed_sparse_embedding_function": ["FastembedSparseEmbeddingFunction"],
    "google_embedding_function": [
        "GoogleGeminiEmbeddingFunction",
        "GoogleGenaiEmbeddingFunction",
        "GoogleGenerativeAiEmbeddingFunction",
        "GooglePalmEmbeddingFunction",
        "GoogleVertexEmbeddingFunction",
    ],
    "huggingface_embedding_function": ["HuggingFaceEmbeddingFunction", "HuggingFaceEmbeddingServer"],
    "huggingface_sparse_embedding_function": ["HuggingFaceSparseEmbeddingFunction"],
    "instructor_embedding_function": ["InstructorEmbeddingFunction"],
    "jina_embedding_function": ["JinaEmbeddingFunction", "JinaQueryConfig"],
    "mistral_embedding_function": ["MistralEmbeddingFunction"],
    "morph_embedding_function": ["MorphEmbeddingFunction"],
    "nomic_embedding_function": ["NomicEmbeddingFunction", "NomicQueryConfig"],
    "ollama_embedding_function": ["OllamaEmbeddingFunction"],
    "open_clip_embedding_function": ["OpenCLIPEmbeddingFunction"],
    "openai_embedding_function": ["OpenAIEmbeddingFunction"],
    "perplexity_embedding_function": ["PerplexityEmbeddingFunction"],
    "roboflow_embedding_function": ["RoboflowEmbeddingFunction"],
    "sentence_transformer_embedding_function": ["SentenceTransformerEmbeddingFunction"],
    "text2vec_embedding_function": ["Text2VecEmbeddingFunction"],
    "together_ai_embedding_function": ["TogetherAIEmbeddingFunction"],
    "voyageai_embedding_function": ["VoyageAIEmbeddingFunction"],
}
"""The names in each module of `chromadb.utils.embedding_functions`."""

_WRAP = "call the provider in a subclass of EmbeddingFunction, or pass embeddings=... yourself"

CLASSES = {name: unsupported(name, _WRAP) for names in MODULES.values() for name in names}
globals().update(CLASSES)

__all__ = [*CLASSES]  # noqa: PLE0604  (names of names)
