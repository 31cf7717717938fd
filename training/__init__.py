"""How the shipped tiny models were made: tokenizer, data, training, evaluation."""
