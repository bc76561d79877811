"""LangChain's and LlamaIndex's integrations for Chroma, as they are on PyPI, on Ochre."""
