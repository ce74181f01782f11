-- What stands under a name that is written or read: links, FIFOs, devices, directories, names that are none.
local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local process = require "spec.support.process"
local raised = require "spec.support.raised"
local safetensors = require "gpt.safetensors"

local FIXTURES = "spec/fixtures/"

local dir -- a directory of this spec's own

local function shell(command)
  return (os.execute(("cd %s && { %s; } 2>/dev/null"):format(dir, command)))
end

local function output_of(command)
  local pipe <close> = io.popen(("cd %s && %s"):format(dir, command))
  return (pipe:read("a"):gsub("%s+$", ""))
end

local function message_of(fn, ...)
  return (raised(fn, ...):gsub(dir:gsub("%p", "%%%0"), "DIR"))
end

local function model_of()
  gpt.seed(1)
  return gpt.Model { vocab_size = 262, context_length = 4, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0,
    qkv_bias = true }
end

local function train(options)
  local given = { model = model_of(), data = gpt.dataset({ 1, 2, 3, 4, 5, 6 }, { context_length = 2 }), steps = 1,
    progress = false }
  for key, value in pairs(options) do given[key] = value end
  return gpt.train(given)
end

-- Every way to write one file, from its name.
local writers = {
  save_parameters = function(name) gpt.nn.Linear(2, 2):save_parameters(name) end,
  write_tokens = function(name) gpt.write_tokens(name, { 1, 2, 3 }, { dtype = "u16" }) end,
  ["plot.line"] = function(name) gpt.plot.line(name, { y = { 1, 2 } }) end,
  ["plot.heatmap"] = function(name) gpt.plot.heatmap(name, { values = gpt.ones(2, 2) }) end,
  metrics = function(name) train { metrics = name } end,
}

describe("a file that is written", function()
  before_each(function() dir = files.directory "/dev/shm" end)
  after_each(function() files.remove(dir) end)

  it("is no directory, FIFO, socket or device", function()
    assert(shell "mkdir directory && mkfifo fifo && ln -s fifo link && ln -s directory linked && ln -s link again")
    local kinds = { directory = "a directory", fifo = "a FIFO", link = "a FIFO", linked = "a directory", again = "a FIFO" }
    if shell "mknod device c 1 3" then kinds.device = "a device" end
    local before = output_of "ls -l --time-style=+"
    for name, kind in pairs(kinds) do
      for who, write in pairs(writers) do
        assert.equal(("DIR/%s: cannot be written: it is %s"):format(name, kind), message_of(write, dir .. "/" .. name), who)
      end
    end
    for who, write in pairs(writers) do
      assert.equal("/dev/null: cannot be written: it is a device", message_of(write, "/dev/null"), who)
    end
    assert.equal(before, output_of "ls -l --time-style=+")
    assert.equal("DIR/: cannot be written: a file's name expected",
      message_of(writers.save_parameters, dir .. "/"))
  end)

  it("is no FIFO or directory among those of a model, a tokenizer or a run, and then nothing changes", function()
    local model = model_of()
    model.tokenizer = gpt.train_tokenizer("a b a b", { vocab_size = 258 })
    model:save(dir .. "/m")
    local before = output_of "cat m/config.json m/model.safetensors m/tokenizer.json | cksum"
    assert(shell "rm m/merges.txt && mkfifo m/merges.txt")
    for _, save in ipairs { function() model:save(dir .. "/m") end, function() model.tokenizer:save(dir .. "/m") end } do
      assert.equal("DIR/m/merges.txt: cannot be written: it is a FIFO", message_of(save))
    end
    assert.equal(before, output_of "cat m/config.json m/model.safetensors m/tokenizer.json | cksum")
    assert(shell "mkdir -p c/best.safetensors")
    assert.is_truthy(message_of(train, { checkpoints = dir .. "/c", validation = gpt.dataset({ 1, 2, 3, 4 },
      { context_length = 2 }) }):find("DIR/c/best.safetensors: cannot be written: it is a directory", 1, true))
    assert(shell "mkdir d && mkfifo d/step-00000001.safetensors")
    assert.is_truthy(message_of(train, { checkpoints = dir .. "/d" })
      :find("DIR/d/step-00000001.safetensors: cannot be written: it is a FIFO", 1, true))
    assert.equal("", output_of "ls -A m c d | grep gpt-")
  end)

  it("is what a symbolic link leads to, with the permissions and the owner of what was there", function()
    assert(shell("mkdir a b && echo old > b/target && chmod 640 b/target && ln -s ../b/target a/one && ln -s one a/two "
      .. "&& ln -s " .. dir .. "/a/two three && ln -s b/new dangling"))
    local owned = shell "chown 12:34 b/target"
    for who, write in pairs(writers) do
      files.write(dir .. "/b/target", "old")
      local inode = output_of "stat -c %i b/target"
      write(dir .. "/three")
      assert.not_equal("old", files.read(dir .. "/b/target"), who)
      if who ~= "metrics" then assert.not_equal(inode, output_of "stat -c %i b/target", who) end -- replaced as a whole
      assert.equal(owned and "640 12 34" or "640", output_of("stat -c '%a" .. (owned and " %u %g'" or "'") .. " b/target"))
      assert.equal("one ../b/target", output_of "readlink a/two a/one | tr '\\n' ' '")
    end
    writers["plot.line"](dir .. "/dangling")
    assert.equal("b/new", output_of "readlink dangling")
    assert.is_truthy(files.read(dir .. "/b/new"):find "<svg")
    assert.equal("a b dangling three", output_of "ls -A | tr '\\n' ' '")
    assert.equal("new target", output_of "ls -A b | tr '\\n' ' '")
    assert(shell "ln -s y x && ln -s x y && ln -s none/z z")
    assert.equal("DIR/x: Too many levels of symbolic links", message_of(writers.save_parameters, dir .. "/x"))
    assert.equal("DIR/z: cannot be written: No such file or directory", message_of(writers.save_parameters, dir .. "/z"))
  end)

  it("of a model may be a link as well, all or nothing", function()
    local old, new = model_of(), model_of()
    gpt.no_grad(function() new.head.weight:fill(0.5) end)
    assert(shell "mkdir store m && touch store/blob && ln -s ../store/blob m/model.safetensors")
    old:save(dir .. "/m")
    local contents = { [old.head.weight:bytes()] = "old", [new.head.weight:bytes()] = "new" }
    local seen = {}
    for _, how in ipairs { "kills", "once" } do
      for at = 1, 100 do
        old:save(dir .. "/m")
        core._file_faults(at, nil, how)
        local done = pcall(new.save, new, dir .. "/m")
        local calls = core._file_faults()
        seen[contents[gpt.load(dir .. "/m").head.weight:bytes()]] = true
        if done and calls < at then break end
      end
    end
    assert.same({ old = true, new = true }, seen)
    assert.equal("../store/blob", output_of "readlink m/model.safetensors")
    old:save(dir .. "/m")
    assert.equal("blob", output_of "ls -A store")
    assert.equal("config.json model.safetensors", output_of "ls -A m | tr '\\n' ' '")
  end)

  it("has the permissions that the umask leaves, where it is new", function()
    process.lua(([[os.execute("umask 027; lua5.4 -e 'require \"gpt\".nn.Linear(2, 2):save_parameters(\"%s/x\")'")]])
      :format(dir))
    assert.equal("640", output_of "stat -c %a x")
  end)

  it("needs a directory that may be written to, and a name that is no longer than names are", function()
    assert.equal("DIR/none/x: cannot be written: No such file or directory",
      message_of(writers.save_parameters, dir .. "/none/x"))
    files.write(dir .. "/plain", "")
    assert.equal("DIR/plain/x: cannot be written: Not a directory",
      message_of(writers.save_parameters, dir .. "/plain/x"))
    local longest = ("x"):rep(255)
    writers.save_parameters(dir .. "/" .. longest)
    assert.equal(longest .. " plain", output_of "ls -A | sort -r | tr '\\n' ' '")
    assert.equal("File name too long",
      message_of(writers.save_parameters, dir .. "/" .. ("y"):rep(256)):match ": ([%a ]+)$")
    if not shell "mkdir shut && chmod 500 shut && ! touch shut/x" then return end -- root may
    assert.equal("DIR/shut/x: cannot be written: Permission denied",
      message_of(writers.save_parameters, dir .. "/shut/x"))
  end)

  it("leaves the old one where the disk is full", function()
    if not shell "mkdir small && mount -t tmpfs -o size=128k none small" then
      return pending "needs to mount a small file system"
    end
    local done, problem = pcall(function()
      local model = model_of()
      model:save(dir .. "/small/m")
      local before = output_of "cksum small/m/*"
      shell "head -c 200k /dev/zero > small/ballast"
      for _, save in ipairs { function() model:save(dir .. "/small/m") end,
        function() model:save_parameters(dir .. "/small/m/model.safetensors") end } do
        assert.matches("cannot be written: No space left on device", message_of(save), 1, true)
        assert.equal(before, output_of "cksum small/m/*")
        assert.equal("config.json model.safetensors", output_of "ls -A small/m | tr '\\n' ' '")
      end
    end)
    assert(shell "umount small")
    if not done then error(problem, 0) end
  end)
end)

describe("a file that is read", function()
  before_each(function() dir = files.directory "/dev/shm" end)
  after_each(function() files.remove(dir) end)

  local linear = gpt.nn.Linear(2, 2)
  local readers = {
    load_parameters = function(name) linear:load_parameters(name) end,
    dataset = function(name) gpt.dataset(name, { context_length = 2, tokenizer = gpt.tokenizer(FIXTURES .. "tokenizer") }) end,
    ["dataset of tokens"] = function(name) gpt.dataset(name, { context_length = 2, dtype = "u16" }) end,
    ["dataset of tokens, read"] = function(name) gpt.dataset(name, { context_length = 2, dtype = "u16", map = false }) end,
    write_tokens = function(name)
      gpt.write_tokens(dir .. "/out.bin", name, { tokenizer = gpt.tokenizer(FIXTURES .. "tokenizer") })
    end,
    train_tokenizer = function(name) gpt.train_tokenizer(name, { vocab_size = 300 }) end,
  }

  it("is a regular one: nobody waits for a FIFO, or reads /dev/zero to its end", function()
    assert(shell "mkdir directory && mkfifo fifo && ln -s fifo link")
    for name, kind in pairs { [dir .. "/directory"] = "a directory", [dir .. "/fifo"] = "a FIFO",
      [dir .. "/link"] = "a FIFO", ["/dev/zero"] = "a device" } do
      for who, read in pairs(readers) do
        assert.equal(("%s: not a regular file, but %s"):format(name:gsub(dir:gsub("%p", "%%%0"), "DIR"), kind),
          message_of(read, name), who)
      end
    end
  end)

  it("is a regular one in a model's and a tokenizer's directory, too", function()
    local model = model_of()
    model.tokenizer = gpt.train_tokenizer("a b a b", { vocab_size = 258 })
    model:save(dir .. "/m")
    for _, name in ipairs { "config.json", "model.safetensors", "tokenizer_config.json" } do
      assert(shell(("mv m/%s kept && mkfifo m/%s"):format(name, name)))
      local ok, problem = pcall(gpt.load, dir .. "/m")
      if name ~= "tokenizer_config.json" then
        assert.is_false(ok)
        assert.is_truthy(problem:find("/m/" .. name .. ": not a regular file, but a FIFO", 1, true), problem)
      end
      assert(shell(("rm m/%s && mv kept m/%s"):format(name, name)))
    end
    assert(shell "rm m/tokenizer.json && mkfifo m/tokenizer.json m/x && rm m/vocab.json && mkfifo m/vocab.json")
    assert.is_truthy(message_of(gpt.tokenizer, dir .. "/m"):find "merges.txt, but not the vocab.json")
  end)

  it("is never larger than what such a file may be", function()
    model_of():save(dir .. "/m")
    assert(shell "truncate -s 3G m/config.json")
    assert.equal("DIR/m/config.json: 3221225472 bytes, which is more than a description takes",
      message_of(gpt.load, dir .. "/m"))
    gpt.train_tokenizer("a b a b", { vocab_size = 258 }):save(dir .. "/t")
    assert(shell "truncate -s 3G t/tokenizer.json")
    assert.equal("DIR/t/tokenizer.json: 3221225472 bytes, which is more than such a file takes (268435456)",
      message_of(gpt.tokenizer, dir .. "/t"))
  end)

  it("is not mapped with map = false, header and all", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().mapped
    model_of():save(dir .. "/m")
    local function mapped() return output_of("grep -c " .. dir .. " /proc/$PPID/maps") end
    local model = gpt.load(dir .. "/m", { map = false })
    assert.same({ before, "0" }, { gpt.memory().mapped, mapped() })
    local other = gpt.load(dir .. "/m")
    assert.is_true(gpt.memory().mapped > before)
    assert.equal(model({ 1, 2 }):bytes(), other({ 1, 2 }):bytes())
    local ids = {}
    for i = 1, 3000 do ids[i] = i * i % 5000 end
    gpt.write_tokens(dir .. "/ids.bin", ids)
    local now = gpt.memory().mapped
    local data = gpt.dataset(dir .. "/ids.bin", { context_length = 7, map = false })
    assert.equal(now, gpt.memory().mapped)
    local same = gpt.dataset(dir .. "/ids.bin", { context_length = 7 })
    assert.is_true(gpt.memory().mapped > now)
    assert.equal(data:batch(1, 3):bytes(), same:batch(1, 3):bytes())
    assert.equal(3000, data.tokens)
    assert.equal("gpt.dataset: map is for token files", message_of(gpt.dataset, ids, { context_length = 7, map = false }))
    local header = string.pack("<I4I4I4", 20240520, 1, 3000) .. ("\0"):rep(1012)
    files.write(dir .. "/llmc.bin", header .. files.read(dir .. "/ids.bin"))
    for _, map in ipairs { true, false } do
      local with = gpt.dataset(dir .. "/llmc.bin", { context_length = 7, map = map })
      assert.equal(data:batch(1, 3):bytes(), with:batch(1, 3):bytes())
    end
  end)

  it("that is cut short while it is read is an error", function()
    model_of():save(dir .. "/m")
    local path = dir .. "/m/model.safetensors"
    local file <close> = core._map_file(path)
    assert(shell "truncate -s 4 m/model.safetensors")
    assert.equal("DIR/m/model.safetensors: cannot be read: it was cut short meanwhile",
      message_of(function() return file:bytes(0, 8) end))
    assert.equal("DIR/m/model.safetensors: cannot be read: it was cut short meanwhile",
      message_of(function() return file:is_zero(0, 100) end))
    assert.equal("DIR/m/model.safetensors: cannot be read: it was cut short meanwhile",
      message_of(function() return file:same(0, file, 0, 100) end))
  end)

  it("may be a pointer of Git LFS, which is said", function()
    local pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" .. ("0"):rep(64) .. "\nsize 548105171\n"
    local model = model_of()
    model.tokenizer = gpt.train_tokenizer("a b a b", { vocab_size = 258 })
    local told = ": a pointer of Git LFS, not the file itself; 'git lfs pull' in its directory fetches that"
    for _, name in ipairs { "config.json", "model.safetensors" } do
      model:save(dir .. "/m")
      files.write(dir .. "/m/" .. name, pointer)
      assert.equal("DIR/m/" .. name .. told, message_of(gpt.load, dir .. "/m"))
    end
    files.write(dir .. "/m/tokenizer.json", pointer)
    assert.equal("DIR/m/tokenizer.json" .. told, message_of(gpt.tokenizer, dir .. "/m"))
    os.remove(dir .. "/m/tokenizer.json")
    files.write(dir .. "/m/merges.txt", pointer)
    assert.equal("DIR/m/merges.txt" .. told, message_of(gpt.tokenizer, dir .. "/m"))
    files.write(dir .. "/x.bin", pointer)
    assert.equal("DIR/x.bin" .. told, message_of(readers["dataset of tokens"], dir .. "/x.bin"))
    assert.equal("DIR/x.bin" .. told, message_of(readers.load_parameters, dir .. "/x.bin"))
  end)

  it("has a name without a NUL character, and one at all", function()
    files.write(dir .. "/cut", "hello")
    local name = dir .. "/cut\0off"
    local told = "DIR/cut: a NUL character follows, which no file's name can have in it"
    local model = model_of()
    local tokenizer = gpt.train_tokenizer("a b a b", { vocab_size = 258 })
    for _, fn in ipairs {
      gpt.load, gpt.read_gguf, gpt.read_safetensors, gpt.tokenizer, readers.load_parameters, writers.save_parameters, writers.write_tokens,
      writers["plot.line"], writers.metrics, function(at) model:save(at) end, function(at) tokenizer:save(at) end,
      function(at) gpt.write_safetensors(at, {}) end, function(at) model:save(at .. ".gguf") end,
      function(at) train { checkpoints = at, resume = true } end, function(at) train { checkpoints = at } end,
    } do
      assert.equal(told, message_of(fn, name))
    end
    assert.equal("hello", files.read(dir .. "/cut"))
    assert.equal("cut", output_of "ls -A")
    local nothing = "a file's or a directory's name expected, got an empty string"
    for _, fn in ipairs { gpt.tokenizer, writers.save_parameters, readers.load_parameters,
      function(at) tokenizer:save(at) end } do
      assert.equal(nothing, message_of(fn, ""))
    end
    assert.equal('gpt.load: the name of a directory or of a .gguf file expected, got ""', message_of(gpt.load, ""))
    assert.equal('save: the name of a directory or of a .gguf file expected, got ""', message_of(model.save, model, ""))
    for _, file_name in ipairs { "model.safetensors", "model.bin", "model.pt" } do
      assert.equal(('save: the name of a directory or of a .gguf file expected, got "%s"; layer:save_parameters writes the '
        .. "weights alone into a .safetensors file"):format(file_name), message_of(model.save, model, file_name))
    end
  end)
end)

describe("gpt.load of something else names the call for it", function()
  before_each(function() dir = files.directory "/dev/shm" end)
  after_each(function() files.remove(dir) end)

  it("files", function()
    for _, name in ipairs { "best.safetensors", "x.bin", "x.pt", "notes.txt" } do files.write(dir .. "/" .. name, "") end
    assert.equal("gpt.load: DIR/best.safetensors is a file, and a model's directory is expected; make the same model "
      .. 'again, then model:load_parameters "DIR/best.safetensors" reads what save_parameters or gpt.train wrote',
      message_of(gpt.load, dir .. "/best.safetensors"))
    for _, name in ipairs { "x.bin", "x.pt" } do
      assert.equal("gpt.load: DIR/" .. name .. " is a file of PyTorch's, which is read by running code in it; convert it "
        .. "once in Python: transformers.AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)",
        message_of(gpt.load, dir .. "/" .. name))
    end
    assert.equal("gpt.load: DIR/notes.txt is a file, and a model's directory or a GGUF file is expected",
      message_of(gpt.load, dir .. "/notes.txt"))
    assert.equal("gpt.load: /dev/null is a device; a model's directory is expected", message_of(gpt.load, "/dev/null"))
  end)

  it("directories", function()
    files.write(dir .. "/adapter_config.json", json.encode { base_model_name_or_path = "gpt2" })
    assert.equal('gpt.load: DIR is an adapter\'s folder, not a model\'s: it changes "gpt2"; load that, then '
      .. 'gpt.load_adapter(model, "DIR") puts the adapter on it', message_of(gpt.load, dir))
    os.remove(dir .. "/adapter_config.json")
    train { checkpoints = dir }
    assert.equal("gpt.load: DIR holds checkpoints of gpt.train; make the same model again, then gpt.train { checkpoints = "
      .. '"DIR", resume = true, ... } goes on, and model:load_parameters "DIR/best.safetensors" reads the best weights',
      message_of(gpt.load, dir))
    gpt.train_tokenizer("a b a b", { vocab_size = 258 }):save(dir .. "/t")
    assert.equal('gpt.load: DIR/t has a tokenizer and no model (no config.json); gpt.tokenizer "DIR/t" reads that',
      message_of(gpt.load, dir .. "/t"))
  end)

  it("and gives back what it had taken", function()
    files.copy(FIXTURES .. "hf_sharded", dir .. "/m")
    local names = files.list(dir .. "/m")
    files.write(dir .. "/m/" .. names[#names - 1], "x")
    collectgarbage()
    collectgarbage()
    local mapped = gpt.memory().mapped
    collectgarbage "stop"
    pcall(gpt.load, dir .. "/m")
    local held = output_of("ls -l /proc/$PPID/fd | grep -c " .. dir)
    collectgarbage "restart"
    assert.same({ "0", mapped }, { held, gpt.memory().mapped })
  end)
end)

describe("JSON for which the memory is too small", function()
  it("is not called invalid", function()
    local output = process.lua [[
      os.execute(([=[ulimit -v 400000; lua5.4 -e '
        local json = require "gpt.support.json"
        local text = "[" .. ("1,"):rep(4999999) .. "1]"
        print(pcall(json.decode, text, "x.json"))']=])) ]]
    if output:find "AddressSanitizer" or output:find "Failed to mmap" then return pending "no limit of the address space under a sanitizer" end
    assert.equal("x.json: not enough memory to read 10000001 bytes of JSON", output:match "false%s+(.-)%s*$" or output)
  end)

  it("counts against the limit, and is given back", function()
    local text = "[" .. ("1,"):rep(99999) .. "1]"
    gpt.memory { limit = gpt.memory().live + (1 << 20) }
    local done, problem = pcall(json.decode, text)
    gpt.memory { limit = 0 }
    assert.is_false(done)
    assert.matches("not enough memory", problem, 1, true)
    local before = gpt.memory().live
    json.decode(text)
    assert.equal(before, gpt.memory().live)
    assert.is_true(gpt.memory().peak >= before + 99999 * 64)
  end)
end)

describe("safetensors", function()
  it("are closed where they are refused", function()
    dir = files.directory "/dev/shm"
    files.write(dir .. "/x", "too short for anything")
    collectgarbage "stop"
    pcall(safetensors.open, dir .. "/x")
    local held = output_of("ls -l /proc/$PPID/fd | grep -c " .. dir)
    collectgarbage "restart"
    assert.equal("0", held)
    files.remove(dir)
  end)
end)
