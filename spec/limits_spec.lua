local core = require "gpt.core"
local gpt = require "gpt"
local files = require "spec.support.files"
local process = require "spec.support.process"

-- Machines of files: what /proc and /sys say there.

local MIB = 1 << 20

-- Returns what the core reads where these files lie below a directory: bytes of memory and processors.
local function limits(tree)
  local root = files.directory()
  for name, text in pairs(tree) do
    os.execute(("mkdir -p '%s/%s'"):format(root, name:match "^(.*)/"))
    files.write(root .. "/" .. name, tostring(text))
  end
  local memory, processors = core._limits(root)
  files.remove(root)
  return { memory and memory / MIB, processors }
end

local function merged(...)
  local all = {}
  for _, tree in ipairs { ... } do
    for name, text in pairs(tree) do all[name] = text end
  end
  return all
end

local MACHINE = { ["proc/meminfo"] = "MemTotal: 9000000 kB\nMemAvailable:    4096000 kB\n" }

-- A group of version 2 at a path below /sys/fs/cgroup.
local function group2(path, max, current, cpu, stat)
  local folder = "sys/fs/cgroup" .. path .. "/"
  return { [folder .. "memory.max"] = max, [folder .. "memory.current"] = current, [folder .. "cpu.max"] = cpu,
    [folder .. "memory.stat"] = stat }
end

local VERSION2 = {
  ["proc/self/cgroup"] = "0::/work.slice/job-1.scope\n",
  ["proc/self/mountinfo"] = "24 23 0:22 / /proc rw - proc proc rw\n"
    .. "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
}

local VERSION1 = {
  ["proc/self/cgroup"] = "9:name=systemd:/\n4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
  ["proc/self/mountinfo"] = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    .. "36 31 0:33 /docker/abc /sys/fs/cgroup/cpu\\040time ro - cgroup cgroup rw,cpu,cpuacct\n"
    .. "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
}

describe("what the process may use", function()
  it("is what the machine has where no group limits it", function()
    assert.same({ nil, nil }, limits {})
    assert.same({ 4000.0, nil }, limits(MACHINE))
    assert.same({ 4000.0, nil }, limits(merged(MACHINE, VERSION2)))
    assert.same({ 4000.0, nil }, limits(merged(MACHINE, VERSION2, group2("/work.slice/job-1.scope", "max\n", "5\n",
      "max 100000\n"))))
  end)

  it("is the process's own group's, of version 2", function()
    local root = group2("", "1000\n", "0\n", "100000 100000\n") -- the uppermost one counts as well
    local own = group2("/work.slice/job-1.scope", 512 * MIB, 200 * MIB, "250000 100000\n")
    assert.same({ 312.0, 3 }, limits(merged(MACHINE, VERSION2, own)))
    assert.same({ 1000 / MIB, 1 }, limits(merged(MACHINE, VERSION2, own, root)))
    local other = group2("/work.slice/other", "1000\n", "0\n", "100000 100000\n")
    assert.same({ 312.0, 3 }, limits(merged(MACHINE, VERSION2, own, other)))
  end)

  it("is the tightest of all groups above, whether the inner or an outer one", function()
    local inner = group2("/work.slice/job-1.scope", 900 * MIB, 100 * MIB, "400000 100000\n")
    local outer = group2("/work.slice", 1000 * MIB, 600 * MIB, "50000 50000\n")
    assert.same({ 400.0, 1 }, limits(merged(MACHINE, VERSION2, inner, outer)))
    outer = group2("/work.slice", 4000 * MIB, 600 * MIB, "max 50000\n")
    assert.same({ 800.0, 4 }, limits(merged(MACHINE, VERSION2, inner, outer)))
  end)

  it("does not count files that are only kept in memory as used", function()
    local stat = ("anon 5\ninactive_file %d\nactive_file %d\nfile 7\n"):format(150 * MIB, 40 * MIB)
    assert.same({ 502.0, 3 }, limits(merged(MACHINE, VERSION2,
      group2("/work.slice/job-1.scope", 512 * MIB, 200 * MIB, "300000 100000\n", stat))))
  end)

  it("is nothing where more is used than allowed", function()
    assert.same({ 0.0, 1 }, limits(merged(MACHINE, VERSION2,
      group2("/work.slice/job-1.scope", 100 * MIB, 200 * MIB, "1000 100000\n"))))
  end)

  it("is the group's of version 1 in a container, whose mounts begin at its own group", function()
    assert.same({ 300.0, 2 }, limits(merged(MACHINE, VERSION1, {
      ["sys/fs/cgroup/memory/memory.limit_in_bytes"] = 400 * MIB,
      ["sys/fs/cgroup/memory/memory.usage_in_bytes"] = 150 * MIB,
      ["sys/fs/cgroup/memory/memory.stat"] = "inactive_file 1\ntotal_inactive_file " .. 50 * MIB .. "\n",
      ["sys/fs/cgroup/cpu time/cpu.cfs_quota_us"] = "75000\n",
      ["sys/fs/cgroup/cpu time/cpu.cfs_period_us"] = "50000\n",
    })))
    assert.same({ 4000.0, nil }, limits(merged(MACHINE, VERSION1, {
      ["sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n",
      ["sys/fs/cgroup/memory/memory.usage_in_bytes"] = 150 * MIB,
      ["sys/fs/cgroup/cpu time/cpu.cfs_quota_us"] = "-1\n",
      ["sys/fs/cgroup/cpu time/cpu.cfs_period_us"] = "100000\n",
    })))
  end)

  it("survives files that say nonsense", function()
    for _, text in ipairs { "", "\n", "0:", "0::", "x:memory:/../../etc\n", "4:memory\n", ("a"):rep(9000) } do
      assert.same({ 4000.0, nil }, limits(merged(MACHINE, { ["proc/self/cgroup"] = text,
        ["proc/self/mountinfo"] = text .. "\n1 2 3 4 - \n1 2 3 4 5 - cgroup2\n" })))
    end
  end)

  it("bounds an allocation", function()
    local left = core._limits ""
    assert.error(function() gpt.zeros(left) end) -- four times as many bytes
  end)
end)

describe("threads beyond what is set", function()
  -- The names of the process's threads, and what `code` prints.
  local COUNT = [[
    local gpt = require "gpt"
    local id = io.open("/proc/self/stat"):read("n")
    local function threads()
      local count = 0
      for file in io.popen("cat /proc/" .. id .. "/task/*/comm"):lines() do count = count + (file == "luagpt" and 1 or 0) end
      return count
    end
    local a = gpt.ones(400, 400)
    local function counts(...)
      local found = {}
      for i, n in ipairs { ... } do
        gpt.set_threads(n)
        found[i] = threads()
        a:matmul(a)
        found[i] = found[i] .. "/" .. threads()
      end
      return table.concat(found, " ")
    end
  ]]

  it("have ended when set_threads returns", function()
    assert.same({ "0/3 0/0 0/3 1/1 1/2 0/0", true },
      { process.lua(COUNT .. "io.write(counts(4, 1, 4, 2, 3, 1))") })
  end)

  it("end while another state computes, and its numbers stay right", function()
    if not process.host() then pending "build/states is not built; make test builds it" end
    local work = [[
      local gpt = require "gpt"
      local a = gpt.ones(300, 300)
      for _ = 1, 60 do assert(a:matmul(a):sum():item() == 300 ^ 3) end
    ]]
    local change = [[
      local gpt = require "gpt"
      local a = gpt.ones(64, 64)
      for i = 1, 200 do
        gpt.set_threads(i % 4 + 1)
        if i % 10 == 0 then assert(a:matmul(a):sum():item() == 64 ^ 3) end
      end
      io.write "changed"
    ]]
    assert.same({ "changed", true }, { process.states(work, change, work) })
  end)
end)
