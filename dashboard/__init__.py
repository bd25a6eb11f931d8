"""What people see: the only place that imports gradio."""

from dashboard.stubs import write_none

write_none()
