"""The life of every model: training, promotion, scoring, reports, and a look back."""
