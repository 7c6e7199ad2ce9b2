"""What the DAGs are made of: one module a stage, and what the stages share."""
