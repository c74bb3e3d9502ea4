! Target regions as far as flang 19 has them: mapping, data regions, updates, parallel loops, threads, module variables' copies.
module work
  implicit none
contains
  subroutine scale(x, n, f)
    integer, intent(in) :: n
    real(8), intent(inout) :: x(n)
    real(8), intent(in) :: f
    integer :: i
    !$omp target parallel do map(tofrom: x)
    do i = 1, n
      x(i) = x(i) * f
    end do
    !$omp end target parallel do
  end subroutine
end module

program flang
  use work
  implicit none
  integer, parameter :: n = 10007
  integer :: i, j, many, hits(n)
  real(8) :: x(n), y(n), a(40, 30), t
  x = [(dble(i), i = 1, n)]
  y = 1d0
  !$omp target map(tofrom: y) map(to: x)
  do i = 1, n
    y(i) = y(i) + 2 * x(i)
  end do
  !$omp end target
  print '(a,f0.1)', 'serial loop ', sum(y)
  call scale(y, n, 0.5d0)
  print '(a,f0.1)', 'parallel do ', sum(y)
  hits = 0
  !$omp target parallel do num_threads(3) map(tofrom: hits)
  do i = 1, n
    hits(i) = hits(i) + 1
  end do
  !$omp end target parallel do
  print '(a,i0,1x,i0)', 'each once ', minval(hits), maxval(hits)
  !$omp target data map(tofrom: a)
  !$omp target parallel do map(tofrom: a) private(i)
  do j = 1, 30
    do i = 1, 40
      a(i, j) = i + 100 * j
    end do
  end do
  !$omp end target parallel do
  !$omp target update from(a)
  print '(a,f0.1)', 'updated ', a(40, 30)
  a(1, 1) = -1
  !$omp target update to(a)
  !$omp target map(tofrom: a)
  a(1, 1) = a(1, 1) * 7
  !$omp end target
  !$omp end target data
  print '(a,f0.1)', 'data region ', sum(a)
  t = 0; many = 0
  !$omp target map(tofrom: t, many)
  t = 3.5d0
  many = many + 2
  !$omp end target
  print '(a,f0.1,1x,i0)', 'scalars ', t, many
end program
