-- Loads and saves, whose calls of the system fail in turn. An entry is a name and a function that prepares it, with a
-- directory of its own, and returns `work`, which returns what it read, and for a save `saves`: `restore` puts what was
-- there before the save, `content` reads what is there now.
local bytes_of = require "spec.support.bytes_of"
local checkpoint = require "gpt.train.checkpoint"
local gpt = require "gpt"
local files = require "spec.support.files"

local FIXTURES = "spec/fixtures/"

local function new_model(seed)
  gpt.seed(seed)
  return gpt.Model { vocab_size = 270, context_length = 8, emb_dim = 8 * seed, n_heads = 2, n_layers = 1, drop_rate = 0,
    qkv_bias = true }
end

local function tokenizer_of(text) return gpt.train_tokenizer({ text = text:rep(9) }, { vocab_size = 262 }) end

-- Old and new content in one directory, by a function that writes the old or the new (1, 2), and one that reads.
local function saving(dir, save, content)
  local place, old = dir .. "/place", dir .. "/old"
  assert(os.execute(("mkdir -p %s %s"):format(place, old)))
  save(place, 1)
  files.write(place .. "/notes.txt", "mine")
  assert(os.execute(("rm -rf %s && cp -r %s %s"):format(old, place, old)))
  return {
    place = place,
    restore = function() assert(os.execute(("rm -rf %s && cp -r %s %s"):format(place, old, place))) end,
    content = function() return content(place) end,
    work = function() save(place, 2) end,
  }
end

-- Copies fixtures into the directory, so that errors name it.
local function copied(dir, from)
  files.copy(FIXTURES .. from, dir .. "/copy")
  return dir .. "/copy"
end

local function loading(from, load)
  return function(dir)
    local path = copied(dir, from)
    return { work = function() return load(path) end }
  end
end

return {
  { "a directory is loaded, mapped", loading("hf_tied", function(path) return bytes_of(gpt.load(path)) end) },

  { "a directory is loaded, read", loading("hf_sharded", function(path) return bytes_of(gpt.load(path, { map = false })) end) },

  { "a directory with a tokenizer is loaded", function(dir)
    local model = new_model(1)
    model.tokenizer = tokenizer_of "a mouse "
    model:save(dir .. "/model")
    return { work = function()
      local loaded, tokenizer = gpt.load(dir .. "/model")
      return { bytes_of(loaded), tokenizer and tokenizer:encode "a mouse" }
    end }
  end },

  { "a tokenizer is loaded", loading("tokenizer", function(path) return gpt.tokenizer(path):encode "the mouse" end) },

  { "a GGUF file is loaded, mapped", loading("gguf/q4_0.gguf", function(path) return bytes_of(gpt.load(path)) end) },

  { "a GGUF file is loaded, read", loading("gguf/f16.gguf", function(path)
    return bytes_of(gpt.load(path, { map = false }))
  end) },

  { "tensors are read", loading("hf_tied/model.safetensors", function(path)
    return gpt.read_safetensors(path).tensors
  end) },

  { "an array of numpy is read", loading("npy/bf8_F.npy", function(path) return gpt.read_npy(path) end) },

  { "arrays of numpy are read", loading("npy/stored.npz", function(path) return gpt.read_npz(path).weights end) },

  { "questions are read", function(dir)
    local model = new_model(1):eval()
    model.tokenizer = tokenizer_of "a mouse "
    files.write(dir .. "/questions.jsonl", ('{"ctx": "a", "endings": ["a", "m"], "label": 0}\n'):rep(5))
    return { work = function() return gpt.multiple_choice(model, dir .. "/questions.jsonl").count end }
  end },

  { "parameters are put back", function(dir)
    local model, other = new_model(1), new_model(1)
    model:save_parameters(dir .. "/model.safetensors")
    return { work = function()
      other:load_parameters(dir .. "/model.safetensors")
      return bytes_of(other)
    end }
  end },

  { "tokens are read", function(dir)
    gpt.write_tokens(dir .. "/tokens.u16", { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2 })
    files.write(dir .. "/text.txt", ("a mouse "):rep(9))
    local tokenizer = tokenizer_of "a mouse "
    return { work = function()
      local tokens = gpt.dataset(dir .. "/tokens.u16", { context_length = 4, batch_size = 1 })
      local text = gpt.dataset(dir .. "/text.txt", { context_length = 4, batch_size = 1, tokenizer = tokenizer })
      return { { tokens:batch(1, 1) }, { text:batch(1, 1) } }
    end }
  end },

  { "an adapter is loaded", function(dir)
    gpt.lora(new_model(1), { rank = 2 }):save_adapter(dir .. "/adapter")
    return { work = function() return bytes_of(gpt.load_adapter(new_model(1), dir .. "/adapter")) end }
  end },

  { "a directory is saved over another", function(dir)
    local models = { new_model(1), new_model(2) }
    models[1].tokenizer, models[2].tokenizer = tokenizer_of "the cat sat ", tokenizer_of "a dog and a log "
    return saving(dir, function(place, i) models[i]:save(place) end, function(place)
      local model, tokenizer = gpt.load(place)
      return { bytes_of(model), tokenizer:token(260), files.read(place .. "/notes.txt") }
    end)
  end },

  { "a directory is saved where none was", function(dir)
    local model = new_model(1)
    local place = dir .. "/place"
    return { place = place, restore = function() files.remove(place) end, work = function() model:save(place) end,
      content = function()
        local there = pcall(files.read, place .. "/config.json")
        return there and bytes_of(gpt.load(place)) or "nothing"
      end }
  end },

  { "a GGUF file is saved over another", function(dir)
    local models = { new_model(1), new_model(2) }
    return saving(dir, function(place, i) models[i]:save(place .. "/model.gguf") end,
      function(place) return { bytes_of(gpt.load(place .. "/model.gguf")), files.read(place .. "/notes.txt") } end)
  end },

  { "parameters are saved over others", function(dir)
    local models = { new_model(1), new_model(2) }
    return saving(dir, function(place, i) models[i]:save_parameters(place .. "/model.safetensors") end,
      function(place) return { gpt.read_safetensors(place .. "/model.safetensors").tensors, files.read(place .. "/notes.txt") } end)
  end },

  { "an adapter is saved over another", function(dir)
    local models = { gpt.lora(new_model(1), { rank = 2 }), gpt.lora(new_model(1), { rank = 3 }) }
    return saving(dir, function(place, i) models[i]:save_adapter(place) end,
      function(place) return { bytes_of(gpt.load_adapter(new_model(1), place)), files.read(place .. "/notes.txt") } end)
  end },

  { "a tokenizer is saved over another", function(dir)
    local tokenizers = { tokenizer_of "the cat sat ", tokenizer_of "a dog and a log " }
    return saving(dir, function(place, i) tokenizers[i]:save(place) end,
      function(place) return { gpt.tokenizer(place):token(260), files.read(place .. "/notes.txt") } end)
  end },

  { "tokens are written over others", function(dir)
    return saving(dir, function(place, i) gpt.write_tokens(place .. "/tokens.u16", { i, 2, 3, 4, 5, 6 }) end,
      function(place) return { files.read(place .. "/tokens.u16"), files.read(place .. "/notes.txt") } end)
  end },

  { "an array of numpy is written over another", function(dir)
    return saving(dir, function(place, i) gpt.write_npy(place .. "/x.npy", gpt.arange(1, i)) end,
      function(place) return { gpt.read_npy(place .. "/x.npy"), files.read(place .. "/notes.txt") } end)
  end },

  { "a picture is drawn over another", function(dir)
    return saving(dir, function(place, i) gpt.plot.line(place .. "/line.svg", { y = { i, 3, 2 } }) end,
      function(place) return { files.read(place .. "/line.svg"), files.read(place .. "/notes.txt") } end)
  end },

  { "a checkpoint is saved beside another", function(dir)
    local function train(place, steps)
      local model, ids = new_model(1), { 1, 2, 3, 4, 5, 6, 7, 8, 1, 3 }
      local data = gpt.dataset(ids, { context_length = 4, batch_size = 1, seed = 1 })
      gpt.train { model = model, data = data, steps = steps, lr = 0.01, progress = false, checkpoints = place .. "/c",
        checkpoint_every = 1, keep = 1, resume = true, metrics = place .. "/metrics.jsonl" }
    end
    return saving(dir, train, function(place)
      local file = checkpoint.last(place .. "/c")
      return { file, gpt.read_safetensors(file).tensors, files.read(place .. "/notes.txt") }
    end)
  end },
}
