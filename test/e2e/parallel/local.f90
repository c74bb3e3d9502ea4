! A threadprivate common block, as NPB's EP has it, with a large array.
program local
  use omp_lib
  implicit none
  real(8) :: x(2000), total
  integer :: seed, i, turn
  common /storage/ x, seed
  !$omp threadprivate(/storage/)
  seed = 11
  total = 0
  do turn = 1, 3
    !$omp parallel copyin(/storage/) private(i)
    do i = 1, 2000
      x(i) = i * seed + omp_get_thread_num()
    end do
    !$omp end parallel
    !$omp parallel do reduction(+:total) schedule(static, 1)
    do i = 1, 40
      total = total + x(i * 50)
    end do
    seed = seed + turn
  end do
  write(*, '(a,f14.1,i4)') 'total', total, seed
end program
