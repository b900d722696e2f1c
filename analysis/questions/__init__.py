"""What a study is asked: one file a question, with its table and its answer in words."""
