"""What a visitor can do, as plain functions and generators over core: nothing here knows of Gradio or of a browser."""
