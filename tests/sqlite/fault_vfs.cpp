#include "sqlite/fault_vfs.h"

#include <new>

namespace tidegate::testing {

namespace {

struct Plan {
  int after = 0;  ///< calls until the first failure; 0: none planned
  int times = 0;
  int code = SQLITE_OK;

  int next() {
    if (times == 0) return SQLITE_OK;
    if (after > 1) return --after, SQLITE_OK;
    --times;
    return code;
  }
};

Plan writes, syncs;
int given = 0;
sqlite3_vfs* below = nullptr;

struct FaultFile {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file)->real(); }

int failing(Plan& plan) {
  const int code = plan.next();
  if (code != SQLITE_OK) ++given;
  return code;
}

int onClose(sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); }
int onRead(sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), to, n, at); }
int onWrite(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  const int code = failing(writes);
  if (code == SQLITE_OK) return real(f)->pMethods->xWrite(real(f), from, n, at);
  real(f)->pMethods->xWrite(real(f), from, n / 2, at);  // torn: half of it reaches the disk
  return code;
}
int onTruncate(sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); }
int onSync(sqlite3_file* f, int flags) {
  const int code = failing(syncs);
  return code == SQLITE_OK ? real(f)->pMethods->xSync(real(f), flags) : code;
}
int onFileSize(sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); }
int onLock(sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); }
int onUnlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
int onCheckLock(sqlite3_file* f, int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
int onControl(sqlite3_file* f, int op, void* arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); }
int onSectorSize(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
int onTraits(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
int onShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}
int onShmLock(sqlite3_file* f, int offset, int n, int flags) {
  return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}
void onShmBarrier(sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); }
int onShmUnmap(sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); }

const sqlite3_io_methods kMethods{2,         onClose,      onRead,      onWrite,   onTruncate,   onSync,   onFileSize,
                                  onLock,    onUnlock,     onCheckLock, onControl, onSectorSize, onTraits, onShmMap,
                                  onShmLock, onShmBarrier, onShmUnmap,  nullptr,   nullptr};

int onOpen(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* fault = new (file) FaultFile{};
  const int code = below->xOpen(below, name, fault->real(), flags, out);
  fault->base.pMethods = fault->real()->pMethods != nullptr ? &kMethods : nullptr;
  return code;
}

}  // namespace

FaultVfs::FaultVfs() : before_(sqlite3_vfs_find(nullptr)) {
  below = before_;
  vfs_ = *before_;
  vfs_.zName = "tidegate-faults";
  vfs_.szOsFile += static_cast<int>(sizeof(FaultFile));
  vfs_.pNext = nullptr;
  vfs_.xOpen = onOpen;
  heal();
  given = 0;
  sqlite3_vfs_register(&vfs_, 1);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(before_, 1);
}

void FaultVfs::failWrites(int nth, int code, int times) { writes = {nth, times, code}; }
void FaultVfs::failSyncs(int nth, int code, int times) { syncs = {nth, times, code}; }
void FaultVfs::heal() { writes = syncs = {}; }
int FaultVfs::failures() const { return given; }

}  // namespace tidegate::testing
