-- Holds the core to one place for calls on files, csrc/core/io/system.c, where specs let them fail. Prints what goes
-- past it, and fails.
local CALLS = { "open", "openat", "creat", "pread", "readv", "pwrite", "writev", "fsync", "fdatasync", "rename",
  "unlink",
  "mkdir", "rmdir", "stat", "lstat", "fstat", "readlink", "fchown", "fchmod", "ftruncate", "opendir", "flock", "mmap",
  "access", "fopen", "remove", "realpath" }

-- What is no file of the user's: limits of the process, in /proc and /sys; and memory that is mapped to see whether
-- there is any.
local ALLOWED = {
  ["csrc/core/io/system.c"] = true, ["csrc/core/base/limits.c"] = true, ["csrc/core/linalg/blas_seats.c"] = true,
}

local bad = 0
local function check(path, line, number)
  if line:find "^%s*/?%*" then return end
  for _, call in ipairs(CALLS) do
    if line:find("%f[%w_]" .. call .. "%(") then
      print(("%s:%d: a call on files outside system.c: %s"):format(path, number, line))
      bad = bad + 1
    end
  end
end

dofile ".ci/each_line.lua"("find csrc/core csrc/binding -name '*.c'", function(path, line, number)
  if not ALLOWED[path] then check(path, line, number) end
end)
os.exit(bad == 0)
