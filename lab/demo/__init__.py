"""Two releases shown live on a real cluster: a good version that goes out, a bad one held back."""
