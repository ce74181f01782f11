-- The shapes of learning rates that gpt.lr_schedule has.
return { "constant", "linear", "cosine", "wsd" }
