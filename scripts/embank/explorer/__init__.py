"""`embank explore`: a local web page on which label schemes are regrouped, and what each change is worth."""
