-- Saves that are interrupted: every call on files fails in turn, alone or as if the process was killed there.
local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local raised = require "spec.support.raised"

local FIXTURES = "spec/fixtures/"
local IDS = { 3, 1, 4, 1, 5 }
local NAMES = { "config.json", "merges.txt", "model.safetensors", "notes.txt", "tokenizer.json",
  "tokenizer_config.json", "vocab.json" }

local place -- a directory of this spec's own

local function tokenizer_of(text)
  return gpt.train_tokenizer(text:rep(20), { vocab_size = 262 })
end

local function model_of(seed, tokenizer)
  gpt.seed(seed)
  local model = gpt.Model { vocab_size = 270, context_length = 8, emb_dim = 8 * seed, n_heads = 2, n_layers = 1,
    drop_rate = 0, qkv_bias = true }
  model.tokenizer = tokenizer
  return model
end

-- What gpt.load finds, in one string; config, weights and tokenizer each belong to one of the saves.
local function content_of(dir)
  local model, tokenizer = gpt.load(dir)
  return table.concat({ model.config.emb_dim, tokenizer:token(260), model(IDS):bytes() }, "|")
end

-- Runs fn while calls on files fail; returns whether it came through, how many calls there were, and the log.
local function interrupted(at, call, how, fn, ...)
  core._file_faults(at, call, how)
  local done, problem = pcall(fn, ...)
  local calls, log = core._file_faults()
  return done, calls, log, problem
end

local function temporaries(dir)
  local list = {}
  for _, name in ipairs(files.list(dir)) do
    if name:sub(1, 1) == "." then list[#list + 1] = name end
  end
  return list
end

describe("model:save over an old model", function()
  local old, new, old_content, new_content, dir

  -- The directory as the old save left it.
  local function restore()
    assert(os.execute(("rm -rf %s && cp -r %s/old %s"):format(dir, place, dir)))
  end

  setup(function()
    place = files.directory("/dev/shm")
    old, new = model_of(1, tokenizer_of "the cat sat on the mat. "), model_of(2, tokenizer_of "a dog and a log. ")
    dir = place .. "/model"
    old:save(place .. "/old")
    files.write(place .. "/old/notes.txt", "mine")
    new:save(place .. "/new")
    old_content, new_content = content_of(place .. "/old"), content_of(place .. "/new")
    assert.not_equal(old_content, new_content)
  end)
  teardown(function()
    core._file_faults()
    files.remove(place)
  end)

  -- Lets call number 1, 2, ... fail until a save comes through; check() looks at the directory. Returns the outcomes.
  local function sweep(call, how, check)
    local seen = { old = 0, new = 0 }
    for at = 1, 1000 do
      restore()
      local done, calls, _, problem = interrupted(at, call, how, new.save, new, dir)
      local content = content_of(dir)
      if content ~= old_content and content ~= new_content then error(("a mixture, after call %d: %s"):format(at, problem)) end
      local outcome = content == old_content and "old" or "new"
      assert.equal("mine", files.read(dir .. "/notes.txt"))
      if calls < at then
        assert.is_true(done)
        assert.equal("new", outcome)
        return seen, at - 1
      end
      seen[outcome] = seen[outcome] + 1
      check(outcome, done, problem, at)
    end
    error "no end"
  end

  it("is the old or the new one, whenever it is killed, and the next save leaves nothing behind", function()
    local seen, calls = sweep(nil, "kills", function(outcome, done)
      assert.is_false(done and outcome == "old")
      new:save(dir)
      assert.equal(new_content, content_of(dir))
      assert.same(NAMES, files.list(dir))
    end)
    assert.is_true(calls >= 40)
    assert.is_true(seen.old >= 20 and seen.new >= 5)
  end)

  for _, call in ipairs { "open", "write", "sync", "rename", "lock" } do
    it("is the old or the new one, whichever " .. call .. " fails", function()
      sweep(call, nil, function(outcome, done, problem, at)
        assert.is_true(done or type(problem) == "string")
        if done then assert.equal("new", outcome) end
        if call == "write" or call == "sync" then assert.is_false(done) end -- nothing is swallowed
        -- The list's rename and the first file's leave the old save; one behind them is tried again.
        if call == "rename" then assert.equal(at > 2, done) end
        assert.same(NAMES, files.list(dir)) -- a load has been there, which finishes what can be finished
      end)
    end)
  end

  it("does not depend on who finishes it: a load, a save, a tokenizer's load or save", function()
    local function half_done()
      restore()
      interrupted(3, "rename", "kills", new.save, new, dir) -- the list's, the weights', then the config's
      assert.is_true(#temporaries(dir) > 1)
      assert.not_equal(files.read(place .. "/old/model.safetensors"), files.read(dir .. "/model.safetensors"))
      assert.equal(files.read(place .. "/old/config.json"), files.read(dir .. "/config.json"))
    end
    for _, finish in ipairs {
      function() gpt.load(dir) end, function() gpt.tokenizer(dir) end, function() new.tokenizer:save(dir) end,
      function() new:save_parameters(dir .. "/more.safetensors") os.remove(dir .. "/more.safetensors") end,
    } do
      half_done()
      finish()
      assert.same(NAMES, files.list(dir))
      for _, name in ipairs(files.list(place .. "/new")) do
        assert.equal(files.read(place .. "/new/" .. name), files.read(dir .. "/" .. name))
      end
    end
  end)

  it("is read where it lies by who may not write there", function()
    restore()
    interrupted(3, "rename", "kills", new.save, new, dir)
    core._file_faults(1, "rename", "stays")
    assert.equal(new_content, content_of(dir))
    core._file_faults()
    assert.is_true(#temporaries(dir) > 1)
    assert.equal(new_content, content_of(dir))
  end)

  it("says so where a file cannot take its name, again and again, and then goes on by itself", function()
    restore()
    core._file_faults(3, "rename", "stays")
    local message = raised(new.save, new, dir)
    core._file_faults()
    assert.equal("DIR: the files that were saved are whole, but config.json could not take its name: Input/output error; "
      .. "gpt.load reads the new ones, and the next load or save there tries again", (message:gsub(dir, "DIR")))
    assert.equal(new_content, content_of(dir))
  end)

  it("brings everything to the disk before it counts", function()
    restore()
    local done, _, log = interrupted(0, nil, nil, new.save, new, dir)
    assert.is_true(done)
    local unsynced, order, list_stands, renamed = {}, {}, false, false
    for line in log:gmatch "[^\n]+" do
      local call, path, to = line:match "^(%a+)\t([^\t]+)\t?(.*)$"
      if call == "write" then unsynced[path] = true
      elseif call == "sync" then
        unsynced[path] = nil
        renamed = renamed and path ~= dir
      elseif call == "rename" then
        assert.is_nil(unsynced[path], path .. " is renamed before it is on the disk")
        -- The temporaries' names are there before the list, the list before the first rename that it tells of.
        assert.is_nil(unsynced[dir], "the directory is not on the disk before " .. line)
        order[#order + 1] = to:match "[^/]+$"
        if list_stands then renamed = true else unsynced[dir] = true end
        list_stands = true
      elseif call == "unlink" then
        assert.matches("/.gpt-save", path, 1, true)
        assert.is_false(renamed, "the list goes before the names are on the disk")
        unsynced[dir] = true
      elseif call == "open" and path:find "/%.%w.*%.gpt%-" then unsynced[dir] = true
      end
    end
    assert.is_nil(unsynced[dir], "the end of the list is not on the disk")
    assert.same({ ".gpt-save", "model.safetensors", "config.json", "tokenizer.json", "vocab.json", "merges.txt",
      "tokenizer_config.json" }, order)
  end)

  it("brings a single file to the disk before it takes its name, and the name after that", function()
    local path = place .. "/single.safetensors"
    local _, _, log = interrupted(0, nil, nil, function() new.head:save_parameters(path) end)
    local calls = log:gsub("write\t[^\n]*\n", "w\n"):gsub("[^\n]*open[^\n]*\n", ""):gsub("lock[^\n]*\n", "")
      :gsub(place, "DIR"):gsub("%.gpt%-%x+", ".gpt-TAG")
    assert.equal("w\nw\nw\nsync\tDIR/.single.safetensors.gpt-TAG\n"
      .. "rename\tDIR/.single.safetensors.gpt-TAG\tDIR/single.safetensors\nsync\tDIR\n", calls)
    local before = files.read(path)
    for call, told in pairs { write = "cannot be written: No space left on device",
      sync = "cannot be written: Input/output error", rename = "cannot be replaced: Input/output error" } do
      local done, _, _, problem = interrupted(1, call, nil, function() old.head:save_parameters(path) end)
      assert.is_false(done)
      assert.matches(path .. ": " .. told, problem, 1, true)
      assert.equal(before, files.read(path))
      assert.same({}, temporaries(place))
    end
    interrupted(1, "rename", "kills", function() old.head:save_parameters(path) end)
    assert.equal(1, #temporaries(place))
    old.head:save_parameters(place .. "/other.safetensors")
    assert.equal(1, #temporaries(place))
    old.head:save_parameters(path) -- sweeps what a killed save of the same file left
    assert.same({}, temporaries(place))
    os.remove(place .. "/other.safetensors")
    local done, _, _, problem = interrupted(2, "sync", nil, function() old.head:save_parameters(path) end)
    assert.is_false(done)
    assert.matches(path .. ": its directory could not be brought to the disk: Input/output error", problem, 1, true)
    os.remove(path)
  end)

  it("names a .gpt-save that is none, and touches nothing", function()
    local tag = ("0123456789abcdef"):rep(2):sub(1, 24)
    local first = "luagpt: these files are the content of this directory\n"
    for _, text in ipairs {
      "", "mine", first, first .. "end\n", first .. tag .. " config.json\n", first .. tag .. " ../notes.txt\nend\n",
      first .. tag .. " /etc/passwd\nend\n", first .. tag .. " .x\nend\n", first .. tag .. "\nend\n",
      first .. tag:upper() .. " a\nend\n", first .. tag .. " a\nend\nmore\n", first .. tag .. " a\0b\nend\n",
      first .. (tag .. " a\n"):rep(40) .. "end\n", first .. tag .. " " .. ("a"):rep(300) .. "\nend\n",
    } do
      restore()
      files.write(dir .. "/.gpt-save", text)
      for _, act in ipairs { function() gpt.load(dir) end, function() new:save(dir) end } do
        assert.equal(dir .. "/.gpt-save: not the list of files that a save leaves there when it is interrupted; "
          .. "move it away", raised(act))
      end
      assert.equal(text, files.read(dir .. "/.gpt-save"))
      assert.same({ ".gpt-save" }, temporaries(dir))
    end
    restore()
    files.write(dir .. "/.gpt-save", first .. tag .. " gone.json\nend\n") -- all that it names has its place
    assert.equal(old_content, content_of(dir))
    assert.same(NAMES, files.list(dir))
  end)

  it("removes temporaries of killed saves, and no file of the user's", function()
    restore()
    local own = { ".prompt.gpt-4", ".x.gpt-0123456789abcdef0123456", ".x.gpt-0123456789abcdef012345678",
      ".x.gpt-0123456789ABCDEF01234567", "x.gpt-0123456789abcdef01234567", ".gpt-0123456789abcdef01234567",
      ".x.gpt-0123456789abcdef0123456g", ".x.gpt-0123456789abcdef01234567.y" }
    for _, name in ipairs(own) do files.write(dir .. "/" .. name, "mine") end
    files.write(dir .. "/.config.json.gpt-0123456789abcdef01234567", "left over")
    assert(os.execute("mkdir " .. dir .. "/.d.gpt-0123456789abcdef01234567"))
    new:save(dir)
    local expected = table.move(NAMES, 1, #NAMES, #own + 1, table.move(own, 1, #own, 1, {}))
    expected[#expected + 1] = ".d.gpt-0123456789abcdef01234567"
    table.sort(expected)
    local found = files.list(dir)
    table.sort(found)
    assert.same(expected, found)
  end)

  it("leaves the temporaries of a save that goes on", function()
    restore()
    local set <close> = core._file_set(dir)
    set:add("config.json"):write "half"
    local writer <close> = core._file_writer(dir .. "/merges.txt")
    assert.equal(2, #temporaries(dir))
    old:save(dir)
    assert.equal(2, #temporaries(dir))
    assert.equal(old_content, content_of(dir))
    writer:close()
    set:close()
    assert.same(NAMES, files.list(dir))
  end)

  it("that is half done is finished before a single file goes over one of its files", function()
    restore()
    local writer <close> = core._file_writer(dir .. "/model.safetensors")
    writer:write "mine"
    interrupted(2, "rename", "kills", new.save, new, dir)
    writer:commit()
    assert.equal("mine", files.read(dir .. "/model.safetensors"))
    assert.equal(files.read(place .. "/new/config.json"), files.read(dir .. "/config.json"))
    assert.same(NAMES, files.list(dir))
  end)

  it("changes old files of a tokenizer that are read besides the new ones", function()
    restore()
    files.write(dir .. "/special_tokens_map.json", json.encode { eos_token = "the" })
    files.write(dir .. "/added_tokens.json", json.encode { ["<mine>"] = 270 })
    files.write(dir .. "/generation_config.json", json.encode { eos_token_id = 7 })
    new:save(dir)
    assert.same({ ["<|endoftext|>"] = 261 }, json.decode(files.read(dir .. "/added_tokens.json")))
    assert.equal("<|endoftext|>", json.decode(files.read(dir .. "/special_tokens_map.json")).eos_token)
    assert.equal(new_content, content_of(dir))
    assert.equal(261, json.decode(files.read(dir .. "/generation_config.json")).eos_token_id)
    assert.same({ 261 }, gpt.tokenizer(dir).end_tokens)
    local special = gpt.tokenizer(FIXTURES .. "tokenizer")
    special:save(dir)
    assert.same(special:encode("a<|endoftext|>", { special = true }),
      gpt.tokenizer(dir):encode("a<|endoftext|>", { special = true }))
    assert.equal(special.eos, gpt.tokenizer(dir).eos)
  end)
end)
