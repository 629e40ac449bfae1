// Memory that communicators of one process share: the meeting point of in-process ranks.
//
// A keyed store of objects of any type. The first rank that asks for a key makes the object and the
// others get the same one. The hub belongs to the in-process bootstraps that refer to it, so two
// jobs in one process never see each other's keys. Thread-safe.
#pragma once

#include <cassert>
#include <memory>
#include <mutex>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <utility>

namespace tutti {

class LocalHub {
 public:
  LocalHub() = default;
  LocalHub(const LocalHub&) = delete;
  LocalHub& operator=(const LocalHub&) = delete;

  // The object under `key`; calls `factory` (returning shared_ptr<T>) when there is none yet. The
  // factory runs under the hub's lock, so that it runs once: it may not use the hub itself.
  // REQUIRES: every use of a key names the same T.
  template <typename T, typename Factory>
  std::shared_ptr<T> get_or_create(const std::string& key, Factory&& factory) {
    const std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
      std::shared_ptr<T> made = std::forward<Factory>(factory)();
      found = entries_.emplace(key, Entry{std::move(made), &typeid(T)}).first;
    }
    assert(*found->second.type == typeid(T));
    return std::static_pointer_cast<T>(found->second.object);
  }

  // Forgets the key; those who hold the object keep it. True when the key was there.
  bool erase(const std::string& key) {
    std::shared_ptr<void> last;  // destroyed after the lock is gone: destructors may use the hub
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    last = std::move(found->second.object);
    entries_.erase(found);
    return true;
  }

 private:
  struct Entry {
    std::shared_ptr<void> object;
    const std::type_info* type;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace tutti
