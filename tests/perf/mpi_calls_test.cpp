// What MPI lacks is said before anything is measured; the calls themselves are tested by
// mpi_perf_test.py, under mpirun.
#include "mpi/calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "mpi/benchmark.h"
#include "mpi/types.h"

namespace tutti::perf {
namespace {

using testing::HasSubstr;

Status supported(std::string_view name, Operator op, DataType type, std::int64_t count) {
  const Shape shape{type, op, 0, count};
  return check_supported({nullptr, nullptr, shape, 0, 4, find_counterpart(name)->benchmark()});
}

TEST(Counterparts, AreOneForEachBenchmark) {
  EXPECT_EQ(counterpart_names().size(), 12u);
  for (const std::string& name : counterpart_names()) {
    const Counterpart* one = find_counterpart(name);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(one->benchmark().program(), name + "_perf");
    EXPECT_EQ(MpiBenchmark(*one).program(), "mpi_perf --collective " + name);
    EXPECT_EQ(MpiBenchmark(*one).bus_factor(4), one->benchmark().bus_factor(4));
  }
  EXPECT_EQ(find_counterpart("all_scatter"), nullptr);
}

TEST(Counterparts, CopyWhatMpiCannotReduce) {
  EXPECT_TRUE(supported("broadcast", ReduceOp::sum, DataType::bfloat16, 10).ok());
  EXPECT_TRUE(supported("reduce", ReduceOp::max, DataType::int8, 10).ok());
  EXPECT_EQ(supported("reduce", ReduceOp::sum, DataType::float16, 10).message(),
            "MPI cannot reduce half; give -d float, double or an integer type");
}

TEST(Counterparts, SayWhichOperatorsThereAreNot) {
  for (const Operator op : {Operator(ReduceOp::average), Operator::mulsum()}) {
    const Status missing = supported("all_reduce", op, DataType::float32, 10);
    EXPECT_EQ(missing.code(), Code::invalid_argument);
    EXPECT_THAT(std::string(missing.message()), HasSubstr("; give -o sum, prod, min, max, band"));
  }
  EXPECT_THAT(std::string(supported("reduce", Operator::mulsum(), DataType::int8, 1).message()),
              HasSubstr("MPI has no operator mulsum;"));
}

TEST(Counterparts, CountInAnInt) {
  EXPECT_TRUE(supported("alltoall", ReduceOp::sum, DataType::int8, 0x1fffffff).ok());
  EXPECT_EQ(supported("alltoall", ReduceOp::sum, DataType::int8, 0x20000000).message(),
            "MPI counts elements in an int, which 4 blocks of 536870912 exceed; give a smaller "
            "--maxbytes");
}

TEST(Counterparts, LeaveTheScatteredSumAtTheStart) {
  const Shape shape{DataType::float32, ReduceOp::sum, 0, 4};
  const Counterpart& one = *find_counterpart("reduce_scatter");
  EXPECT_EQ(one.benchmark().layout(shape, 2, 4).recv_place, 2);
  EXPECT_EQ(MpiBenchmark(one).layout(shape, 2, 4).recv_place, 0);
}

TEST(Types, HaveTheSizeOfOurs) {
  std::set<MPI_Datatype> different;
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    const bool narrow_float = size_of(type) < 4 && !supports(type, ReduceOp::bit_and);
    EXPECT_EQ(arithmetic_type(type) == MPI_DATATYPE_NULL, narrow_float) << name(type);
    EXPECT_NE(copied_type(type), MPI_DATATYPE_NULL);
    if (!narrow_float) different.insert(arithmetic_type(type));
  }
  EXPECT_EQ(different.size(), 10u);
  EXPECT_EQ(copied_type(DataType::float16), MPI_UINT16_T);
  EXPECT_EQ(copied_type(DataType::float8_e5m2), MPI_UINT8_T);
}

}  // namespace
}  // namespace tutti::perf
