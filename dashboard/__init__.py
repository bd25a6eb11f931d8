"""What people see: the only place that imports gradio."""
