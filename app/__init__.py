"""The studio page: the only place that knows Gradio."""
